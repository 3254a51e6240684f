// From the items of a timeline to the rows that are shown: days, the divider
// above what is unread, and messages in groups.

import { dayKey } from './format.js';

/** Messages of one sender that are closer than this stand together. */
const togetherMs = 5 * 60_000;

/**
 * @param items of the timeline, oldest first
 * @param me my user id
 * @param unreadAfter the seq that the divider stands behind; null: no divider
 * @returns rows with a key: {kind: 'day' | 'divider' | 'gap' | 'notice' | 'message', ...}
 */
export function toRows(items, me, unreadAfter) {
  const rows = [];
  let day = '';
  let previous = null;
  let divided = unreadAfter === null;
  for (const item of items) {
    if (item.kind === 'gap') {
      rows.push({ kind: 'gap', key: item.key, item });
      previous = null;
      continue;
    }
    const { message } = item;
    const today = dayKey(message.time);
    if (today !== day) {
      day = today;
      rows.push({ kind: 'day', key: `day ${day}`, time: message.time });
      previous = null;
    }
    if (!divided && message.seq > unreadAfter && message.from !== me) {
      divided = true;
      rows.push({ kind: 'divider', key: 'divider' });
      previous = null;
    }
    if (message.type === 'system') {
      rows.push({ kind: 'notice', key: item.key, item });
      previous = null;
      continue;
    }
    const row = { kind: 'message', key: item.key, item, own: message.from === me, first: true, last: true };
    if (
      previous &&
      previous.item.message.from === message.from &&
      message.time - previous.item.message.time < togetherMs
    ) {
      previous.last = false;
      row.first = false;
    }
    rows.push(row);
    previous = row;
  }
  return rows;
}
