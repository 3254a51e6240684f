// One conversation: its header, its timeline, the composer, and the panel.

import { composer } from './composer.js';
import { h } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { panelView } from './panel.js';
import { conversationAvatar } from './people.js';
import { currentRoute, go, up } from './route.js';
import { timelineView } from './timeline.js';

/**
 * @param memory kept for the conversation while another one is open: {place}
 * @param drafts what is written and not sent, by conversation
 * @param leave puts the focus back into the list
 */
export function threadView(chat, conversation, { memory, drafts, leave, pane }, signal) {
  const { id } = conversation;
  const group = conversation.kind !== 'direct';
  const name = h('h2', { class: 'name', dir: 'auto' });
  const about = h('p', { class: 'about' });
  const face = h('span', { class: 'face' });
  const info = group
    ? h(
        'button',
        {
          class: 'icon-button',
          type: 'button',
          'aria-label': t('groupInfo'),
          title: t('groupInfo'),
          on: { click: togglePanel },
        },
        icon('panel'),
      )
    : null;
  const header = h(
    'header',
    { class: 'bar' },
    h(
      'button',
      { class: 'icon-button back', type: 'button', 'aria-label': t('backToList'), on: { click: toList } },
      icon('back'),
    ),
    face,
    h('div', { class: 'who' }, name, about),
    info,
  );
  const timeline = timelineView(chat, conversation, { memory, edit }, signal);
  const writing = composer({
    name: chat.title(conversation),
    text: drafts.get(id) ?? '',
    on: {
      change: (text) => (text ? drafts.set(id, text) : drafts.delete(id)),
      send: (text) => {
        chat.send(id, text);
        timeline.sent();
      },
      leave: outward,
    },
  });
  const thread = h('div', { class: 'thread' }, timeline.element, writing.element);
  let panel = null;

  function edit(item) {
    writing.put(item.message.content.text);
    chat.discard(item);
  }

  function draw() {
    const c = chat.conversation(id) ?? conversation;
    name.textContent = chat.title(c);
    about.textContent = group ? t('members', { n: c.members }) : `@${c.peer}`;
    const profile = group ? c : chat.profile(c.peer);
    const looks = `${chat.title(c)} ${profile.avatar}`;
    if (face.looks !== looks) {
      face.looks = looks;
      face.replaceChildren(conversationAvatar(chat, c, 'medium'));
    }
  }

  function togglePanel() {
    if (panel) up({ conversation: id, panel: false });
    else go({ conversation: id, panel: true });
  }

  /** The panel as the address says. */
  function drawPanel() {
    const wanted = group && currentRoute().panel;
    info?.setAttribute('aria-expanded', String(wanted));
    pane.classList.toggle('with-panel', wanted);
    if (wanted === Boolean(panel)) return;
    if (wanted) {
      const life = new AbortController();
      signal.addEventListener('abort', () => life.abort(), { signal: life.signal });
      panel = { life, ...panelView(chat, chat.conversation(id) ?? conversation, togglePanel, life.signal) };
      pane.append(panel.element);
      panel.focus();
    } else {
      const focused = panel.element.contains(document.activeElement);
      panel.life.abort();
      panel.element.remove();
      panel = null;
      if (focused) info.focus();
    }
  }

  function toList() {
    up({ conversation: '', panel: false });
  }

  /** Esc: one step out. */
  function outward() {
    if (panel) togglePanel();
    else if (matchMedia('(width < 720px)').matches) toList();
    else leave();
  }

  pane.addEventListener(
    'keydown',
    (e) => {
      if (e.key !== 'Escape' || e.defaultPrevented) return;
      e.preventDefault();
      if (panel?.element.contains(e.target) || !thread.contains(e.target)) outward();
      else writing.focus();
    },
    { signal },
  );

  const offs = [chat.on('list', draw), chat.on('profiles', draw)];
  signal.addEventListener('abort', () => {
    panel?.life.abort();
    pane.classList.remove('with-panel');
    for (const off of offs) off();
  });
  draw();
  return {
    elements: [header, thread],
    drawPanel,
    /** On a touch screen the keyboard stays away until it is asked for. */
    focus: () => (matchMedia('(pointer: coarse)').matches ? timeline.focus() : writing.focus()),
  };
}
