// The application's frame: the list on one side, a conversation on the other.

import { bannerView } from './banner.js';
import { h } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { listView } from './list.js';
import { newConversation } from './newchat.js';
import { personAvatar } from './people.js';
import { currentRoute, go, onRoute, replace } from './route.js';
import { languageChoice, themeChoice } from './settings.js';
import { threadView } from './thread.js';

/**
 * @param kept what outlives a change of language: {drafts, memories, menuFocused}
 * @param redraw draws everything anew
 */
export function appView(chat, kept, redraw, signal) {
  const begin = () => newConversation(chat, (id) => go({ conversation: id, panel: false }));
  const list = listView(chat, kept.drafts, begin, signal);
  const face = h('span', { class: 'face' });
  const name = h('h2', { class: 'name', dir: 'auto' });
  const about = h('p', { class: 'about' });
  const menuButton = h(
    'button',
    {
      class: 'icon-button',
      type: 'button',
      'aria-label': t('menu'),
      title: t('menu'),
      'aria-expanded': 'false',
      on: { click: toggleMenu },
    },
    icon('more'),
  );
  const listPane = h(
    'div',
    { class: 'list-pane' },
    h(
      'header',
      { class: 'bar' },
      face,
      h('div', { class: 'who' }, name, about),
      h(
        'button',
        {
          class: 'icon-button',
          type: 'button',
          'aria-label': t('newConversation'),
          title: t('newConversation'),
          on: { click: begin },
        },
        icon('compose'),
      ),
      menuButton,
    ),
    list.element,
  );
  const threadPane = h('section', { class: 'thread-pane' });
  const element = h(
    'main',
    { class: 'app', data: { view: 'list' } },
    h('h1', { class: 'hidden-text' }, t('appName')),
    bannerView(chat, signal).element,
    listPane,
    threadPane,
  );

  // --- the conversation that is open

  let open = null;

  function show(focus) {
    const { conversation: id } = currentRoute();
    element.dataset.view = id ? 'thread' : 'list';
    const row = id ? chat.conversation(id) : null;
    if (open?.id !== id || open.missing !== !row) {
      open?.life.abort();
      open = { id, missing: !row, life: new AbortController() };
      if (row) openThread(row);
      else threadPane.replaceChildren(id ? missing() : nothing());
      if (focus) open.view?.focus();
    }
    open.view?.drawPanel();
    drawTitle();
  }

  function openThread(row) {
    const memory = kept.memories.get(row.id) ?? {};
    kept.memories.set(row.id, memory);
    const life = open.life.signal;
    open.view = threadView(chat, row, { memory, drafts: kept.drafts, leave: list.focus, pane: threadPane }, life);
    threadPane.replaceChildren(...open.view.elements);
  }

  function nothing() {
    if (chat.listState === 'ready' && chat.conversations.length === 0)
      return h('div', { class: 'empty' }, h('p', null, t('pickNone')));
    return h('div', { class: 'empty' }, icon('chat'), h('h2', null, t('pickTitle')), h('p', null, t('pickHint')));
  }

  function missing() {
    if (chat.listState === 'loading')
      return h('div', { class: 'empty' }, h('span', { class: 'spinner', role: 'img', 'aria-label': t('connecting') }));
    const back = () => replace({ conversation: '', panel: false });
    return h(
      'div',
      { class: 'empty' },
      icon('warning'),
      h('h2', null, t('goneTitle')),
      h('p', null, t('goneHint')),
      h('button', { class: 'button', type: 'button', on: { click: back } }, t('backToList')),
    );
  }

  function listChanged() {
    const { conversation: id } = currentRoute();
    if (id && (open.missing !== !chat.conversation(id) || (open.missing && chat.listState !== 'loading'))) {
      const here = threadPane.contains(document.activeElement);
      open.id = null;
      show(here);
    } else if (!id) {
      threadPane.replaceChildren(nothing());
    }
    drawTitle();
  }

  function drawTitle() {
    const unread = chat.conversations.reduce((sum, c) => sum + c.unread, 0);
    const row = chat.conversation(currentRoute().conversation);
    const what = row ? `${chat.title(row)} · ${t('appName')}` : t('appName');
    document.title = unread > 0 ? `(${unread > 99 ? '99+' : unread}) ${what}` : what;
  }

  function drawMe() {
    const me = chat.profile(chat.me.id);
    const looks = `${me.name} ${me.avatar}`;
    if (face.looks === looks) return;
    face.looks = looks;
    face.replaceChildren(personAvatar(me, 'medium'));
    name.textContent = me.name || me.id;
    about.textContent = `@${me.id}`;
  }

  // --- the menu

  let menu = null;

  function toggleMenu() {
    if (menu) {
      closeMenu();
      return;
    }
    const life = new AbortController();
    menu = h(
      'div',
      { class: 'menu' },
      h('div', null, h('p', { class: 'label' }, t('theme')), themeChoice()),
      h('div', null, h('p', { class: 'label' }, t('language')), languageChoice(anew)),
      h('button', { class: 'button', type: 'button', on: { click: () => chat.leaveApp() } }, t('switchUser')),
    );
    menu.life = life;
    listPane.append(menu);
    menuButton.setAttribute('aria-expanded', 'true');
    menu.querySelector('input:checked').focus();
    const outside = (e) => !menu.contains(e.target) && !menuButton.contains(e.target) && closeMenu();
    document.addEventListener('pointerdown', outside, { signal: life.signal });
    document.addEventListener('focusin', outside, { signal: life.signal });
    menu.addEventListener('keydown', (e) => {
      if (e.key !== 'Escape') return;
      e.stopPropagation();
      closeMenu();
      menuButton.focus();
    });
  }

  function anew() {
    kept.menuFocused = true;
    redraw();
  }

  function closeMenu() {
    menu?.life.abort();
    menu?.remove();
    menu = null;
    menuButton.setAttribute('aria-expanded', 'false');
  }

  // --- life

  document.addEventListener(
    'keydown',
    (e) => {
      if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'k' && !document.querySelector('dialog[open]')) {
        e.preventDefault();
        if (element.dataset.view === 'thread' && matchMedia('(width < 720px)').matches)
          go({ conversation: '', panel: false });
        list.focusSearch();
      }
    },
    { signal },
  );

  const offs = [
    chat.on('list', listChanged),
    chat.on('profiles', () => {
      drawMe();
      drawTitle();
    }),
    onRoute(() => show(true)),
  ];
  signal.addEventListener('abort', () => {
    open?.life.abort();
    closeMenu();
    for (const off of offs) off();
  });
  drawMe();
  show(false);
  if (kept.menuFocused) {
    kept.menuFocused = false;
    requestAnimationFrame(() => menuButton.focus());
  }
  return element;
}
