import { IMError } from './errors.js';
import type { OpenResult } from './protocol.js';
/**
 * What the client is doing.
 *
 *     idle --init--> connecting --session.open--> syncing --sync--> online
 *                     ^    |                         |                |
 *                     |    +------- connection lost, refused ---------+
 *                     |                         |
 *                     +--time, wake-up-- waiting | offline
 *
 *     any --no valid token--> unauthorized      } init() begins again
 *     any --kicked, not to come back--> kicked  }
 *     any --close()--> closed                   }
 *
 * "waiting" and "offline" differ in the cause alone: offline means that the
 * browser says there is no network.
 */
export type State = 'idle' | 'connecting' | 'syncing' | 'online' | 'waiting' | 'offline' | 'unauthorized' | 'kicked' | 'closed';
/** The answer of session.open: who we are, and what the server accepts. */
export type Session = OpenResult;
/** A change of the state. */
export interface StateChange {
    state: State;
    previous: State;
    /** Why, where it is not for the better. */
    error?: IMError;
    /** When the next attempt is made, in milliseconds since the epoch. */
    retryAtMs?: number;
}
