// The same for import; all of it is in index.js.
import sdk from './index.js';

export const { LNTPay, LNTPayError } = sdk;
export default LNTPay;
