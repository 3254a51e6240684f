import type { Core } from './core.js';
import { IMError } from './errors.js';
import { type Target, targetOf } from './outbox.js';
import { allPages } from './pages.js';
import type { Conversation, Marker, OwnResult } from './protocol.js';
import type { Wait } from './wait.js';

/** The user's conversations. What is here is alive from the first sync on. */
export class ConversationsApi {
  readonly #core: Core;
  readonly #marking = new Map<string, number>();

  /** @internal */
  constructor(core: Core) {
    this.#core = core;
  }

  /** All of them, the one with the newest message first. */
  list(): Conversation[] {
    const time = (c: Conversation) => c.lastMessage?.time ?? c.createdAt ?? 0;
    return this.#core.replica.all().sort((a, b) => time(b) - time(a) || (a.id < b.id ? -1 : 1));
  }

  /** Calls fn with the list now and after every change. Returns off. */
  watch(fn: (list: Conversation[]) => void, o: { signal?: AbortSignal } = {}): () => void {
    const off = this.#core.emitter.on('conversations', () => fn(this.list()), o.signal);
    if (!o.signal?.aborted) fn(this.list());
    return off;
  }

  /** The unread messages of all conversations. */
  get unread(): number {
    return this.#core.replica.all().reduce((sum, c) => sum + c.unread, 0);
  }

  /** One conversation, as it is known here. */
  peek(conversation: string): Conversation | undefined {
    return this.#core.replica.get(conversation);
  }

  /** One conversation, from the server. */
  get(conversation: string, wait?: Wait): Promise<Conversation> {
    const { replica, call } = this.#core;
    return this.#core.watched(call('conversation.get', { conversation }, wait).then((c) => replica.learn(c)));
  }

  /** The conversation that a target means; a direct one is made if there is none yet. */
  open(to: Target, wait?: Wait): Promise<Conversation> {
    const { user, conversation } = targetOf(to);
    if (conversation !== undefined) return this.get(conversation, wait);
    const { replica, call, newId } = this.#core;
    const known = replica.get(replica.withPeer(user as string) ?? '');
    const params = { kind: 'direct', members: [user as string], clientId: newId() };
    return this.#core.watched(
      known
        ? Promise.resolve(known)
        : call('conversation.create', params, wait).then((c) => replica.learn(c)),
    );
  }

  /** My own state of it: markers, mute, draft and the like. */
  own(conversation: string, wait?: Wait): Promise<OwnResult> {
    const { replica, call } = this.#core;
    const asked = call('conversation.own', { conversation }, wait).then((o) => {
      replica.own(conversation, o);
      return o;
    });
    return this.#core.watched(asked);
  }

  /** Marks everything up to seq as read; without one, everything that is known. */
  markRead(conversation: string, seq?: number, wait?: Wait): Promise<void> {
    return this.#core.watched(this.#mark(conversation, seq, wait));
  }

  /** How far the members have come. */
  markers(conversation: string, wait?: Wait): Promise<Marker[]> {
    const all = allPages<Marker>(async (at) => {
      const page = await this.#core.call('conversation.markers', { conversation, limit: 100, ...at }, wait);
      return { rows: page.markers, cursor: page.cursor };
    });
    return this.#core.watched(all);
  }

  async #mark(conversation: string, seq: number | undefined, wait?: Wait): Promise<void> {
    const { replica, call } = this.#core;
    const known = replica.get(conversation);
    const read = seq ?? known?.seq;
    if (read === undefined) throw new IMError('not_found', 'the conversation is not known here: give a seq');
    const done = Math.max(known?.readSeq ?? 0, this.#marking.get(conversation) ?? 0);
    if (read <= done && !(known?.unread && read >= known.seq)) return;
    this.#marking.set(conversation, read);
    try {
      replica.marked(conversation, await call('conversation.mark', { conversation, read }, wait));
    } finally {
      if (this.#marking.get(conversation) === read) this.#marking.delete(conversation);
    }
  }
}
