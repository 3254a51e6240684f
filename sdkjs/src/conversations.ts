import type { Core } from './core.js';
import { type Target, targetOf } from './outbox.js';
import { allPages } from './pages.js';
import type { Conversation, Marker, OwnResult } from './protocol.js';
import { mergeMark, mergeOwn } from './view.js';
import type { Wait } from './wait.js';

/** The user's conversations. What is here is alive from the first sync on. */
export class ConversationsApi {
  readonly #core: Core;

  /** @internal */
  constructor(core: Core) {
    this.#core = core;
  }

  /** All of them, the one with the newest message first. */
  list(): Conversation[] {
    const time = (c: Conversation) => c.lastMessage?.time ?? c.createdAt ?? 0;
    return this.#core.replica.all().sort((a, b) => time(b) - time(a));
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
    const { ask, replica } = this.#core;
    return ask('conversation.get', { conversation }, wait, (c) => replica.learn(c));
  }

  /** The conversation that a target means; a direct one is made if there is none yet. */
  open(to: Target, wait?: Wait): Promise<Conversation> {
    const { user, conversation } = targetOf(to);
    if (conversation !== undefined) return this.get(conversation, wait);
    const { ask, newId, replica } = this.#core;
    const known = replica.get(replica.withPeer(user as string) ?? '');
    if (known) return Promise.resolve(known);
    const params = { kind: 'direct', members: [user as string], clientId: newId() };
    return ask('conversation.create', params, wait, (c) => replica.learn(c));
  }

  /** My own state of it: markers, mute, draft and the like. */
  own(conversation: string, wait?: Wait): Promise<OwnResult> {
    const { ask, replica } = this.#core;
    return ask('conversation.own', { conversation }, wait, (o) => {
      replica.update(conversation, (c) => mergeOwn(c, o));
      return o;
    });
  }

  /** Marks everything up to seq as read; without one, everything that is known. */
  markRead(conversation: string, seq?: number, wait?: Wait): Promise<void> {
    const { ask, replica } = this.#core;
    const known = replica.get(conversation);
    const read = seq ?? known?.seq ?? 0;
    if (known && !known.unread && read <= known.readSeq) return Promise.resolve();
    return ask('conversation.mark', { conversation, read }, wait, (r) => {
      replica.update(conversation, (c) => mergeMark(c, r));
      if (replica.get(conversation)?.mentionsUnread) void this.own(conversation); // how many are left
    });
  }

  /** How far the members have come. */
  markers(conversation: string, wait?: Wait): Promise<Marker[]> {
    const all = allPages(this.#core, 'conversation.markers', conversation, wait, (page) => page.markers);
    return this.#core.watched(all);
  }
}
