import type { Conversation, JsonObject, Member, MemberResult } from './protocol.js';
import type { Wait } from './wait.js';
/** Groups and their members. */
export declare class GroupsApi {
    #private;
    /** Makes a group; the caller is its owner and need not be among the members. */
    create(g: {
        title?: string;
        members: string[];
        ext?: JsonObject;
    } & Wait): Promise<Conversation>;
    /** Adds users; what became of each, in their order. Only an owner may. */
    addMembers(conversation: string, users: string[], wait?: Wait): Promise<MemberResult[]>;
    /** Removes users: an owner anyone, others themselves. */
    removeMembers(conversation: string, users: string[], wait?: Wait): Promise<MemberResult[]>;
    /** All members, with their profiles. */
    members(conversation: string, wait?: Wait): Promise<Member[]>;
}
