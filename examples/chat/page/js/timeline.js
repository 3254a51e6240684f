// The messages of a conversation on the screen: pages back without a jump,
// keeps its place, tells what is new, and moves the read marker.

import { announce } from './announce.js';
import { drawMessage, looks, plainText } from './bubble.js';
import { h, keyed } from './dom.js';
import { dayName } from './format.js';
import { explain, t } from './i18n.js';
import { icon } from './icons.js';
import { toRows } from './rows.js';

/** So near to the end counts as at the end, in pixels. */
const nearEnd = 48;
/** Older messages are asked for when so little is left above, in pixels. */
const nearBegin = 600;
/** How long after the last scroll the day is shown, in ms. */
const restAfter = 1200;
/** As many messages are loaded at once to find the first unread one. */
const unreadReach = 400;

/**
 * @param chat the model
 * @param conversation its row
 * @param memory kept for the conversation while another one is open: {place}
 * @param edit takes a message that was refused, to be written anew
 * @param signal ends the view
 */
export function timelineView(chat, conversation, { memory, edit }, signal) {
  const { id } = conversation;
  const group = conversation.kind !== 'direct';
  const timeline = chat.timeline(id);

  const older = h('div', { class: 'older', hidden: true });
  const rows = h('div', { class: 'rows' });
  const log = h(
    'div',
    {
      class: 'log',
      role: 'log',
      tabindex: '0',
      'aria-live': 'off',
      'aria-label': t('messages', { title: chat.title(conversation) }),
    },
    older,
    rows,
  );
  const newest = h('button', { class: 'newest', type: 'button', hidden: true, on: { click: () => toNewest(true) } });
  const empty = h('div', { class: 'empty', hidden: true });
  const floatingDay = h('div', { class: 'floating-day', 'aria-hidden': 'true' });
  const element = h('div', { class: 'timeline' }, log, floatingDay, newest, empty);

  /** The divider stands behind this seq; null: there is none. */
  let unreadAfter = conversation.unread > 0 ? conversation.readSeq : null;
  let placed = false;
  let atEnd = true;
  /** Newest seq that has been on the screen. */
  let seen = conversation.unread > 0 ? conversation.readSeq : conversation.seq;

  // --- drawing

  function draw() {
    if (signal.aborted) return;
    const items = timeline.items;
    if (!placed && !reachesUnread(items)) {
      drawEdges([]);
      load();
      return;
    }
    const anchor = placed && !atEnd ? anchorRow() : null;
    keyed(rows, toRows(items, chat.me.id, unreadAfter), makeRow, drawRow);
    drawEdges(items);
    if (!placed) place(items);
    else if (atEnd) log.scrollTop = log.scrollHeight;
    else if (anchor) log.scrollTop += anchor.element.getBoundingClientRect().top - anchor.top;
    settled();
  }

  function makeRow(row) {
    if (row.kind === 'day') return h('div', { class: 'day', role: 'separator' }, h('span', null, dayName(row.time)));
    if (row.kind === 'divider')
      return h('div', { class: 'divider', role: 'separator' }, h('span', null, t('newMessages')));
    if (row.kind === 'gap') return gap(row.item);
    if (row.kind === 'notice') return h('div', { class: 'notice', dir: 'auto' }, plainText(row.item.message));
    const made = h('article', { class: 'message', tabindex: '-1' });
    drawRow(made, row);
    return made;
  }

  function drawRow(made, row) {
    if (row.kind !== 'message') return;
    const view = {
      state: stateOf(row),
      group,
      profile: chat.profile(row.item.message.from),
      folded: !made.unfolded,
      unfold: () => unfold(made, row),
      retry: (item) => chat.retry(item),
      edit,
      discard: (item) => {
        log.focus({ preventScroll: true });
        chat.discard(item);
      },
    };
    const now = looks(row, view);
    if (made.looks === now) return;
    made.looks = now;
    drawMessage(made, row, view);
  }

  /** Shows the whole of a long message. It grows downwards: what is read stays where it is. */
  function unfold(made, row) {
    made.unfolded = true;
    drawRow(made, row);
    made.focus({ preventScroll: true });
    soon();
  }

  function stateOf({ own, item }) {
    if (!own) return '';
    if (item.status !== 'sent' || group) return item.status;
    const peer = chat.peerMarker(id);
    if (peer.read >= item.message.seq) return 'read';
    return peer.delivered >= item.message.seq ? 'delivered' : 'sent';
  }

  function gap(item) {
    const button = h('button', { class: 'button gap', type: 'button' }, t('missing'));
    button.addEventListener('click', async () => {
      button.disabled = true;
      await timeline.fill(item);
      button.disabled = false;
    });
    return button;
  }

  function drawEdges(items) {
    const { loading, more, error } = timeline;
    older.hidden = items.length === 0;
    if (error && items.length > 0) {
      older.replaceChildren(
        h(
          'span',
          null,
          t('olderFailed'),
          ' ',
          h('button', { class: 'link-button', type: 'button', on: { click: load } }, t('retry')),
        ),
      );
    } else if (more) {
      older.replaceChildren(h('span', { class: 'spinner', role: 'img', 'aria-label': t('loadingOlder') }));
    } else {
      older.replaceChildren(h('span', null, t('threadBegin')));
    }
    empty.hidden = items.length > 0;
    if (items.length > 0) {
      empty.replaceChildren();
    } else if (error) {
      empty.replaceChildren(
        icon('warning'),
        h('h2', null, t('threadFailed')),
        h('p', null, explain(error)),
        h('button', { class: 'button', type: 'button', on: { click: load } }, t('retry')),
      );
    } else if (loading || timeline.items.length > 0) {
      empty.replaceChildren(h('span', { class: 'spinner', role: 'img', 'aria-label': t('loadingOlder') }));
    } else {
      const hint = group ? t('threadEmptyGroupHint') : t('threadEmptyHint', { name: chat.title(conversation) });
      empty.replaceChildren(icon('chat'), h('h2', null, t('threadEmpty')), h('p', null, hint));
    }
  }

  // --- the place

  /** The first message that is on the screen, and where. Days, dividers and gaps move when older ones come. */
  function anchorRow() {
    const top = log.getBoundingClientRect().top;
    for (const row of rows.querySelectorAll('.message, .notice')) {
      const box = row.getBoundingClientRect();
      if (box.bottom > top) return { element: row, top: box.top };
    }
    return null;
  }

  /** The first unread message is loaded, or too far away. */
  function reachesUnread(items) {
    const first = items.find((i) => i.message?.seq)?.message.seq ?? 0;
    return (
      unreadAfter === null ||
      first <= unreadAfter + 1 ||
      items.length >= unreadReach ||
      !timeline.more ||
      Boolean(timeline.error)
    );
  }

  /** At first: where one was, else at what is unread, else at the end. */
  function place(items) {
    if (items.length === 0) return;
    placed = true;
    const row = memory.place && [...rows.children].find((r) => r.rowKey === memory.place.key);
    const divider = rows.querySelector('.divider');
    if (row) log.scrollTop += row.getBoundingClientRect().top - log.getBoundingClientRect().top - memory.place.offset;
    else if (divider)
      log.scrollTop += divider.getBoundingClientRect().top - log.getBoundingClientRect().top - log.clientHeight / 4;
    else log.scrollTop = log.scrollHeight;
  }

  function toNewest(smooth) {
    log.scrollTo({
      top: log.scrollHeight,
      behavior: smooth && !matchMedia('(prefers-reduced-motion: reduce)').matches ? 'smooth' : 'instant',
    });
    log.focus({ preventScroll: true });
  }

  async function load() {
    if (timeline.loading) return;
    await timeline.older();
    if (signal.aborted) return;
    if (placed) soon();
    else draw();
  }

  /** After every scroll and every drawing: what is on the screen now? */
  function settled() {
    if (!placed) return;
    atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < nearEnd;
    if (log.scrollTop < nearBegin && timeline.more && !timeline.error) load();
    const bottom = log.getBoundingClientRect().bottom;
    const messages = timeline.items.filter((i) => i.message?.seq > seen);
    if (atEnd) {
      for (const { message } of messages) seen = Math.max(seen, message.seq);
    } else {
      const hidden = new Set();
      for (
        let row = rows.lastElementChild;
        row && row.getBoundingClientRect().bottom > bottom + 8;
        row = row.previousElementSibling
      )
        hidden.add(row.rowKey);
      for (const { key, message } of messages) if (!hidden.has(key)) seen = Math.max(seen, message.seq);
    }
    drawPill();
    markRead();
    keepPlace();
  }

  function keepPlace() {
    const anchor = atEnd ? null : anchorRow();
    memory.place = anchor && { key: anchor.element.rowKey, offset: anchor.top - log.getBoundingClientRect().top };
  }

  function drawPill() {
    const n = timeline.items.filter((i) => i.message?.seq > seen && i.message.from !== chat.me.id).length;
    newest.hidden = atEnd;
    newest.classList.toggle('with-count', n > 0);
    newest.setAttribute('aria-label', n > 0 ? `${t('countNew', { n })}. ${t('toNewest')}` : t('toNewest'));
    newest.replaceChildren(icon('down'), ...(n > 0 ? [t('countNew', { n })] : []));
  }

  function markRead() {
    if (document.visibilityState === 'visible' && document.hasFocus()) chat.markRead(id, seen);
  }

  // --- the day of what is on the screen, while one scrolls through it

  let resting = 0;

  function drawFloatingDay() {
    const top = log.getBoundingClientRect().top;
    let above = null;
    for (const day of rows.querySelectorAll('.day')) {
      if (day.getBoundingClientRect().top > top) break;
      above = day;
    }
    floatingDay.textContent = above?.textContent ?? '';
    floatingDay.classList.toggle('shown', above !== null && !atEnd);
    clearTimeout(resting);
    resting = setTimeout(() => floatingDay.classList.remove('shown'), restAfter);
  }

  // --- keys: the arrows go from message to message

  function step(e) {
    const all = [...rows.querySelectorAll('.message')];
    const at = all.indexOf(document.activeElement?.closest('.message'));
    const to = { ArrowUp: at < 0 ? all.length - 1 : at - 1, ArrowDown: at < 0 ? all.length - 1 : at + 1 }[e.key];
    if (to === undefined || e.altKey || e.ctrlKey || e.metaKey) return;
    e.preventDefault();
    const target = all[to];
    if (!target) return;
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: 'nearest' });
  }

  // --- life

  let frame = 0;
  const soon = () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => !signal.aborted && settled());
  };
  log.addEventListener(
    'scroll',
    () => {
      soon();
      drawFloatingDay();
    },
    { passive: true },
  );
  log.addEventListener('keydown', step);
  addEventListener('focus', soon, { signal });
  document.addEventListener('visibilitychange', soon, { signal });
  const resize = new ResizeObserver(() => {
    if (placed && atEnd) log.scrollTop = log.scrollHeight;
    soon();
  });
  resize.observe(log);
  const offs = [
    timeline.onChange(draw),
    chat.on('profiles', draw),
    chat.on('markers', (conversationID) => conversationID === id && draw()),
    chat.on('message', (message) => {
      if (message.conversation === id && message.from !== chat.me.id) {
        announce(t('announce', { name: chat.profile(message.from).name, text: plainText(message) }));
      }
    }),
  ];
  signal.addEventListener('abort', () => {
    resize.disconnect();
    clearTimeout(resting);
    for (const off of offs) off();
  });
  // Drawn when it is in the page, and has a size.
  requestAnimationFrame(() => {
    if (signal.aborted) return;
    draw();
  });

  return {
    element,
    focus: () => log.focus({ preventScroll: true }),
    /** After one's own message: nothing above it is new any more. */
    sent() {
      unreadAfter = null;
      atEnd = true;
      draw();
    },
  };
}
