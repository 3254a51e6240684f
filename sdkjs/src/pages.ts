import type { Core } from './core.js';
import type { Result } from './rpc.js';
import type { Wait } from './wait.js';

/** The lists of a conversation that come in pages. */
type Listing = 'member.list' | 'conversation.markers';

/** Reads a list page by page until its end. @internal */
export async function allPages<O extends Listing, T>(
  core: Core,
  op: O,
  conversation: string,
  wait: Wait | undefined,
  rows: (page: Result<O>) => T[],
): Promise<T[]> {
  const all: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await core.connection.call(op, { conversation, limit: 100, cursor }, wait);
    all.push(...rows(page));
    cursor = page.cursor;
  } while (cursor);
  return all;
}
