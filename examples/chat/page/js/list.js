// The list of conversations, and its search.

import { plainText } from './bubble.js';
import { h, keyed } from './dom.js';
import { shortTime } from './format.js';
import { explain, t } from './i18n.js';
import { icon } from './icons.js';
import { conversationAvatar } from './people.js';
import { currentRoute, go, onRoute } from './route.js';

/**
 * @param chat the model
 * @param drafts what is written and not sent, by conversation
 * @param begin opens the dialog for a new conversation
 */
export function listView(chat, drafts, begin, signal) {
  const search = h('input', {
    type: 'search',
    'aria-label': t('search'),
    placeholder: t('search'),
    autocomplete: 'off',
    spellcheck: 'false',
  });
  const clear = h(
    'button',
    { class: 'icon-button', type: 'button', hidden: true, 'aria-label': t('searchClear'), on: { click: clearSearch } },
    icon('close'),
  );
  const list = h('ul', { 'aria-label': t('conversations') });
  const empty = h('div', { class: 'empty', hidden: true });
  const nav = h('nav', { class: 'conversations', 'aria-label': t('conversations') }, list, empty);
  const element = h(
    'div',
    { class: 'list' },
    h('div', { class: 'search', role: 'search' }, icon('search'), search, clear),
    nav,
  );

  /** The one row that Tab stops at. */
  let stop = '';

  function found() {
    const query = search.value.trim().toLocaleLowerCase();
    const open = currentRoute().conversation;
    return chat.conversations.filter((c) => {
      if (c.kind === 'direct' && c.seq === 0 && !chat.lastOf(c.id) && c.id !== open) return false;
      if (!query) return true;
      const last = chat.lastOf(c.id);
      return [chat.title(c), c.peer ?? '', last ? plainText(last.message) : ''].some((text) =>
        text.toLocaleLowerCase().includes(query),
      );
    });
  }

  function clearSearch() {
    search.value = '';
    draw();
    search.focus();
  }

  function draw() {
    const shown = found();
    clear.hidden = search.value === '';
    const open = currentRoute().conversation;
    if (!shown.some((c) => c.id === stop)) stop = shown.some((c) => c.id === open) ? open : (shown[0]?.id ?? '');
    const loading = chat.listState === 'loading' && chat.conversations.length === 0;
    list.setAttribute('aria-busy', String(loading));
    if (loading)
      list.replaceChildren(...[1, 2, 3, 4, 5].map(() => h('li', { class: 'skeleton', 'aria-hidden': 'true' })));
    else
      keyed(
        list,
        shown.map((c) => ({ key: c.id, conversation: c })),
        make,
        update,
      );
    drawEmpty(shown.length === 0 && !loading);
  }

  function drawEmpty(needed) {
    empty.hidden = !needed;
    list.hidden = needed;
    if (!needed) return;
    const query = search.value.trim();
    if (chat.listState === 'failed') {
      empty.replaceChildren(icon('warning'), h('h2', null, t('listFailed')), h('p', null, explain(chat.listError)));
    } else if (query && chat.conversations.length > 0) {
      empty.replaceChildren(
        icon('search'),
        h('h2', null, t('listNothing')),
        h('p', null, t('listNothingHint', { query })),
      );
    } else {
      empty.replaceChildren(
        icon('chat'),
        h('h2', null, t('listEmpty')),
        h('p', null, t('listEmptyHint')),
        h('button', { class: 'button', type: 'button', on: { click: begin } }, t('newConversation')),
      );
    }
  }

  function make(row) {
    const button = h('button', {
      class: 'conversation',
      type: 'button',
      on: { click: () => go({ conversation: row.key, panel: false }) },
    });
    const item = h('li', null, button);
    update(item, row);
    return item;
  }

  function update(item, { conversation: c }) {
    const button = item.firstElementChild;
    const title = chat.title(c);
    const last = chat.lastOf(c.id);
    const unread = c.unread;
    const open = currentRoute().conversation === c.id;
    button.tabIndex = c.id === stop ? 0 : -1;
    if (open) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
    const line = preview(c, last);
    const time = last ? shortTime(last.message.time) : '';
    const profile = c.kind === 'direct' ? chat.profile(c.peer) : c;
    const now = [title, time, unread, profile.avatar, ...line].join('\n');
    if (item.looks === now) return;
    item.looks = now;
    button.classList.toggle('unread', unread > 0);
    button.replaceChildren(
      conversationAvatar(chat, c),
      h(
        'span',
        { class: 'lines' },
        h(
          'span',
          { class: 'line' },
          h('span', { class: 'title', dir: 'auto' }, title),
          h('span', { class: 'time' }, time),
        ),
        h(
          'span',
          { class: 'line' },
          h('span', { class: 'preview' }, line[1] && h('span', { class: line[1] }, `${line[2]} `), line[0]),
          unread > 0 &&
            h(
              'span',
              { class: 'badge' },
              h('span', { 'aria-hidden': 'true' }, unread > 99 ? '99+' : String(unread)),
              h('span', { class: 'hidden-text' }, t('unread', { n: unread })),
            ),
        ),
      ),
    );
  }

  /** [text, class and word of a mark before it] */
  function preview(c, last) {
    const draft = drafts.get(c.id);
    if (draft && currentRoute().conversation !== c.id) return [draft, 'draft', t('draft')];
    if (!last) return [t('noMessages'), '', ''];
    const text = plainText(last.message).replace(/\s+/g, ' ');
    if (last.status === 'failed') return [text, 'not-sent', t('notSent')];
    if (last.message.type === 'system') return [text, '', ''];
    if (last.message.from === chat.me.id) return [t('youSaid', { text }), '', ''];
    if (c.kind === 'direct') return [text, '', ''];
    return [t('personSaid', { name: chat.profile(last.message.from).name, text }), '', ''];
  }

  // --- keys

  function step(e) {
    const buttons = [...list.querySelectorAll('.conversation')];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[e.key];
    if (to === undefined || at < 0) return;
    e.preventDefault();
    if (to < 0) search.focus();
    else focusRow(buttons[Math.min(to, buttons.length - 1)]);
  }

  function focusRow(button) {
    if (!button) return;
    for (const other of list.querySelectorAll('.conversation')) other.tabIndex = -1;
    button.tabIndex = 0;
    stop = button.parentElement.rowKey;
    button.focus();
  }

  list.addEventListener('keydown', step);
  search.addEventListener('input', draw);
  search.addEventListener('keydown', (e) => {
    if (e.key === 'ArrowDown' || (e.key === 'Enter' && !e.isComposing)) {
      e.preventDefault();
      const first = list.querySelector('.conversation');
      if (e.key === 'Enter') first?.click();
      else focusRow(first);
    } else if (e.key === 'Escape' && search.value) {
      e.preventDefault();
      e.stopPropagation();
      clearSearch();
    }
  });

  const offs = [chat.on('list', draw), chat.on('profiles', draw), onRoute(draw)];
  const midnight = setInterval(draw, 60_000); // "today" becomes "yesterday"
  signal.addEventListener('abort', () => {
    clearInterval(midnight);
    for (const off of offs) off();
  });
  draw();

  return {
    element,
    draw,
    focusSearch: () => search.focus(),
    /** Back from a conversation, to its row. */
    focus() {
      const open = currentRoute().conversation;
      focusRow(
        [...list.children].find((i) => i.rowKey === (open || stop))?.firstElementChild ??
          list.querySelector('.conversation'),
      );
    },
  };
}
