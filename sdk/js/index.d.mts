import { LNTPay } from './index.js';

export * from './index.js';
export default LNTPay;
