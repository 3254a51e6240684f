import type { Core } from './core.js';
import type { Message } from './protocol.js';

/** The newest messages of a conversation without a hole, and what they are true for. */
export interface Recent {
  epoch: string;
  /** Every change of them up to this one is in them. */
  rev: number;
  from: number;
  to: number;
  firstSeq: number;
  messages: Message[];
}

const maxConversations = 50;
const maxMessages = 100;
const maxLength = 256_000;

/** The stored messages of a conversation. @internal */
export async function readRecent(core: Core, id: string): Promise<Recent | undefined> {
  core.identify().catch(() => {}); // it is told by the connection
  const { cache, store, replica, owner } = core;
  await owner?.ready;
  if (!owner || core.owner !== owner) return undefined;
  const stored = await store.read(cache.key('page', id));
  if (stored === undefined) return undefined;
  try {
    const recent: Recent = JSON.parse(stored as string);
    for (const m of recent.messages) m.seq.toFixed(); // it throws for what is none
    return recent.epoch === replica.epoch ? recent : undefined;
  } catch (e) {
    store.failed(e);
    return undefined;
  }
}

/** Stores the messages of a conversation, and removes those that were stored longest ago. @internal */
export async function writeRecent({ cache, store }: Core, id: string, recent: Recent): Promise<void> {
  const value = shortened(recent);
  if (!value) return;
  const used = cache.key('used', '');
  await store.write([
    { key: cache.key('page', id), value },
    { key: used + id, value: Date.now() },
  ]);
  const all = (await store.list(used)) as Array<[string, number]>;
  const old = all.sort(([, a], [, b]) => b - a).slice(maxConversations);
  if (old.length && used === cache.key('used', '')) cache.remove(old.map(([key]) => key.slice(used.length)));
}

/** The messages as text that is not too long, by leaving out the oldest. */
function shortened(recent: Recent): string | undefined {
  for (let max = maxMessages; max >= 1; max = Math.floor(max / 2)) {
    const messages = recent.messages.slice(-max);
    const isShorter = messages.length < recent.messages.length;
    const text = JSON.stringify({ ...recent, messages, ...(isShorter && { from: messages[0]?.seq }) });
    if (text.length <= maxLength) return text;
  }
  return undefined;
}
