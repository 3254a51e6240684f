import type { Profile } from './protocol.js';
import type { Saved } from './replica.js';
/** The list of conversations as it was held at one moment. Exported for the sake of its names: see OutboxRow. */
export interface Heads extends Saved {
    v: typeof version;
    profiles: Profile[];
}
/** Another layout is dropped: it is a cache. */
declare const version = 1;
export {};
