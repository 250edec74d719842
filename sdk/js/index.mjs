// The same for import; all of it is in index.js.
import sdk from './index.js';

export const { LNTPay, LNTPayError, MemoryUses, l402 } = sdk;
export default LNTPay;
