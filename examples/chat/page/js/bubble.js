// One message.

import { h } from './dom.js';
import { clockTime, fullTime } from './format.js';
import { explain, t } from './i18n.js';
import { icon } from './icons.js';
import { personAvatar } from './people.js';

/** The text of a message, for a line of a list, or for a screen reader. */
export function plainText(message) {
  if (message.recalled) return t('recalled');
  if (typeof message.content?.text === 'string') return message.content.text;
  return t('unknownMessage', { type: message.type });
}

const address = /\bhttps?:\/\/[^\s<>"'“”‘’（）()，。！？；、]+/gu;
const onlySymbols = /^(?:\p{Extended_Pictographic}(?:[\u{1f3fb}-\u{1f3ff}]|\u200d|\ufe0f)*){1,3}$/u;

/** A text that is longer, in characters or lines, is shown in part. */
const longest = { characters: 1600, lines: 40 };
const excerpt = { characters: 1200, lines: 30 };

/** The first part of a long text; all of one that is not. */
function partOf(text) {
  const lines = text.split('\n');
  let part = lines.length > longest.lines ? lines.slice(0, excerpt.lines).join('\n') : text;
  if (part.length > longest.characters) part = part.slice(0, excerpt.characters).replace(/[\ud800-\udbff]$/, '');
  return part;
}

/** Text with its web addresses as links. */
function textWithLinks(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(address)) {
    const shown = match[0].replace(/[.,!?;:]+$/, '');
    if (!URL.canParse?.(shown)) continue;
    parts.push(
      text.slice(end, match.index),
      h('a', { href: shown, target: '_blank', rel: 'noopener noreferrer nofollow' }, shown),
    );
    end = match.index + shown.length;
  }
  parts.push(text.slice(end));
  return parts;
}

const stateIcons = { sending: 'clock', sent: 'sent', delivered: 'delivered', read: 'delivered', failed: 'warning' };
const stateWords = {
  sending: 'stateSending',
  sent: 'stateSent',
  delivered: 'stateDelivered',
  read: 'stateRead',
  failed: 'stateFailed',
};

/** What a row looks like, as a string: equal means that nothing is to be drawn. */
export function looks(row, { state, group, profile, folded }) {
  const { message, error } = row.item;
  const who = group && !row.own ? `${profile.name} ${profile.avatar}` : '';
  return [row.first, row.last, state, error?.reason, message.rev, message.seq, message.time, folded, who].join('|');
}

/**
 * Draws a row into its element.
 * @param view {state, group, profile, folded, unfold(), retry(item), edit(item), discard(item)}
 */
export function drawMessage(element, row, view) {
  const { message, error } = row.item;
  const { state, group, profile } = view;
  const withAvatar = group && !row.own;
  element.className = 'message';
  element.classList.toggle('own', row.own);
  element.classList.toggle('first', row.first);
  element.classList.toggle('last', row.last);
  element.classList.toggle('failed', state === 'failed');
  element.classList.toggle('with-avatar', withAvatar);

  const text = plainText(message);
  const part = view.folded ? partOf(text) : text;
  const plain = message.recalled || typeof message.content?.text !== 'string';
  const bubble = h(
    'div',
    { class: onlySymbols.test(text) ? 'bubble symbols' : 'bubble' },
    h('span', { class: plain ? 'text gone' : 'text' }, plain ? part : textWithLinks(part)),
    part !== text && [
      '… ',
      h('button', { class: 'link-button', type: 'button', on: { click: view.unfold } }, t('showAll')),
    ],
    meta(row, state),
  );
  element.replaceChildren(
    ...[
      withAvatar && row.first && h('span', { class: 'sender', dir: 'auto' }, profile.name || profile.id),
      withAvatar && row.last && personAvatar(profile, 'small'),
      !(withAvatar && row.first) &&
        h('span', { class: 'hidden-text' }, row.own ? t('you') : profile.name || profile.id),
      bubble,
      state === 'failed' && failure(row.item, error, view),
    ].filter(Boolean),
  );
}

function meta(row, state) {
  const { message } = row.item;
  return h(
    'span',
    { class: 'meta' },
    message.editedAt && !message.recalled && h('span', null, t('edited')),
    h(
      'time',
      { datetime: new Date(message.time).toISOString(), title: fullTime(message.time) },
      clockTime(message.time),
    ),
    row.own &&
      h(
        'span',
        { class: `state ${state}`, title: t(stateWords[state]) },
        icon(stateIcons[state]),
        h('span', { class: 'hidden-text' }, t(stateWords[state])),
      ),
  );
}

/** With these reasons the same text fails again. */
const needsEdit = ['too_large', 'invalid_argument'];

function failure(item, error, { retry, edit, discard }) {
  const [what, act] = needsEdit.includes(error?.reason) ? ['edit', edit] : ['retry', retry];
  return h(
    'div',
    { class: 'failure' },
    h('span', null, t('failure', { why: explain(error) })),
    h('button', { class: 'link-button', type: 'button', on: { click: () => act(item) } }, t(what)),
    h('button', { class: 'link-button', type: 'button', on: { click: () => discard(item) } }, t('discard')),
  );
}
