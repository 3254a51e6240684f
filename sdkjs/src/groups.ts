import type { Core } from './core.js';
import { allPages } from './pages.js';
import type { Conversation, JsonObject, Member, MemberResult } from './protocol.js';
import type { Wait } from './wait.js';

/** Groups and their members. */
export class GroupsApi {
  readonly #core: Core;

  /** @internal */
  constructor(core: Core) {
    this.#core = core;
  }

  /** Makes a group; the caller is its owner and need not be among the members. */
  create(g: { title?: string; members: string[]; ext?: JsonObject } & Wait): Promise<Conversation> {
    const { signal, timeoutMs, ...params } = g;
    const { ask, newId, replica } = this.#core;
    const group = { kind: 'group', clientId: newId(), ...params };
    return ask('conversation.create', group, { signal, timeoutMs }, (c) => replica.learn(c));
  }

  /** Adds users; what became of each, in their order. Only an owner may. */
  addMembers(conversation: string, users: string[], wait?: Wait): Promise<MemberResult[]> {
    return this.#core.ask('member.add', { conversation, users }, wait, (r) => r.results);
  }

  /** Removes users: an owner anyone, others themselves. */
  removeMembers(conversation: string, users: string[], wait?: Wait): Promise<MemberResult[]> {
    return this.#core.ask('member.remove', { conversation, users }, wait, (r) => r.results);
  }

  /** All members, with their profiles. */
  members(conversation: string, wait?: Wait): Promise<Member[]> {
    const all = allPages(this.#core, 'member.list', conversation, wait, ({ members }) => {
      for (const { profile } of members) if (profile) this.#core.profiles.learn(profile);
      return members;
    });
    return this.#core.watched(all);
  }
}
