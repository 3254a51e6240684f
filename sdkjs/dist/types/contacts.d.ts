import type { Profile } from './protocol.js';
import { type Wait } from './wait.js';
/** The people one talks with, as the host describes them. */
export declare class ContactsApi {
    #private;
    /**
     * The profiles of users, in their order; of one that may not be seen the id
     * alone. They are kept for five minutes, and calls of one moment ask together.
     */
    profiles(ids: string[], wait?: Wait): Promise<Profile[]>;
    /** A profile that is known here, be it old. */
    peek(id: string): Profile | undefined;
}
