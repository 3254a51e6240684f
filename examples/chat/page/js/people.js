// How people and groups look: an avatar, a name.

import { h } from './dom.js';
import { icon } from './icons.js';

const tones = 6;

function tone(text) {
  let sum = 0;
  for (const c of text) sum = (sum * 31 + c.codePointAt(0)) >>> 0;
  return String(sum % tones);
}

function initial(text) {
  const [first = '?'] = text.trim();
  return first.toLocaleUpperCase();
}

/** The avatar of a profile {id, name, avatar}. Its letter stays where the picture fails. */
export function personAvatar(profile, size = '') {
  const element = h(
    'span',
    { class: `avatar ${size}`, 'aria-hidden': 'true', data: { tone: tone(profile.id) } },
    initial(profile.name || profile.id),
  );
  if (profile.avatar) {
    const picture = h('img', { src: profile.avatar, alt: '', decoding: 'async', draggable: 'false' });
    picture.addEventListener('error', () => picture.remove());
    element.append(picture);
  }
  return element;
}

export function groupAvatar(conversation, size = '') {
  return h(
    'span',
    { class: `avatar group ${size}`, 'aria-hidden': 'true', data: { tone: tone(conversation.id) } },
    conversation.title ? initial(conversation.title) : icon('group'),
  );
}

export function conversationAvatar(chat, conversation, size) {
  if (conversation.kind === 'direct') return personAvatar(chat.profile(conversation.peer), size);
  return groupAvatar(conversation, size);
}

/** A person as a line of a list: avatar, name, user name, and what follows. */
export function personLine(profile, ...rest) {
  return [
    personAvatar(profile, 'medium'),
    h(
      'span',
      { class: 'who' },
      h('span', { class: 'name', dir: 'auto' }, profile.name || profile.id),
      h('span', { class: 'id' }, `@${profile.id}`),
    ),
    ...rest,
  ];
}
