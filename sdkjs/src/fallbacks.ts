import type { Dial } from './transports/conn.js';
import { poll } from './transports/poll.js';
import { type Reach, reach } from './transports/reach.js';
import { sse } from './transports/sse.js';

/** The transports besides WebSocket, and what finds out that one is needed. */
export interface Fallbacks {
  sse: Dial;
  poll: Dial;
  reach: typeof reach;
}

export type { Reach };

/** For platform.fallbacks: where scripts cannot be loaded when they are needed, or a bundle is to have everything. */
export const fallbacks: Fallbacks = { sse, poll, reach };
