import { diagnose } from './diagnose.js';
import type { Dial } from './transports/conn.js';
import { poll } from './transports/poll.js';
import { reach } from './transports/reach.js';
import { share } from './transports/shared.js';
import { sse } from './transports/sse.js';

export { clockWords } from './diagnose.js';

/** The transports besides WebSocket, what finds out that one is needed, the sharing of one, and the diagnosis. */
export interface Fallbacks {
  sse: Dial;
  poll: Dial;
  reach: typeof reach;
  share: typeof share;
  diagnose: typeof diagnose;
}

/** For platform.fallbacks: where scripts cannot be loaded when they are needed, or a bundle is to have everything. */
export const fallbacks: Fallbacks = { sse, poll, reach, share, diagnose };
