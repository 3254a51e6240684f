// What is wrong with the connection, and what one can do.

import { h } from './dom.js';
import { t } from './i18n.js';

/** A connection that is back within this time is not worth a word, in ms. */
const patience = 700;

export function bannerView(chat, signal) {
  const element = h('div', { class: 'banner', role: 'status', hidden: true });
  let late = false;
  let timer = 0;
  let shown = '';

  function draw() {
    const { state, retryAt } = chat.connection;
    clearTimeout(timer);
    if (state === 'online') {
      late = false;
      shown = '';
      element.hidden = true;
      return;
    }
    if (!late && state !== 'unauthorized' && state !== 'kicked') {
      timer = setTimeout(() => {
        late = true;
        draw();
      }, patience);
      return;
    }
    late = true;
    const seconds = retryAt ? Math.max(0, Math.ceil((retryAt - Date.now()) / 1000)) : 0;
    if (state === 'waiting' && seconds > 0) timer = setTimeout(draw, 250);
    const now = `${state} ${seconds}`;
    if (now === shown) return;
    const onlySeconds = shown.startsWith(`${state} `) && state === 'waiting' && seconds > 0 && !shown.endsWith(' 0');
    shown = now;
    element.hidden = false;
    if (onlySeconds) {
      // The button stays, and with it the focus.
      element.firstElementChild.textContent = t('waitingFor', { s: seconds });
      return;
    }
    element.className = `banner ${kinds[state] ?? 'calm'}`;
    element.setAttribute('aria-live', 'polite');
    element.replaceChildren(...content(state, seconds));
  }

  function content(state, seconds) {
    switch (state) {
      case 'waiting':
        return [
          // Read out once, not every second.
          h('span', { 'aria-live': 'off' }, seconds > 0 ? t('waitingFor', { s: seconds }) : t('waiting')),
          h('button', { class: 'link-button', type: 'button', on: { click: () => chat.connectNow() } }, t('tryNow')),
        ];
      case 'offline':
        return [h('span', null, t('offline'))];
      case 'unauthorized':
        return [
          h('span', null, t('unauthorized')),
          h(
            'button',
            { class: 'link-button', type: 'button', on: { click: () => location.reload() } },
            t('signInAgain'),
          ),
        ];
      case 'kicked':
      case 'closed':
        return [
          h('span', null, t('kicked')),
          h(
            'button',
            { class: 'link-button', type: 'button', on: { click: () => location.reload() } },
            t('connectHere'),
          ),
        ];
      default:
        return [h('span', { class: 'spinner', 'aria-hidden': 'true' }), h('span', null, t('connecting'))];
    }
  }

  const off = chat.on('connection', draw);
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    off();
  });
  draw();
  return { element };
}

const kinds = { waiting: '', offline: '', unauthorized: 'bad', kicked: 'bad', closed: 'bad' };
