// Says things to screen readers, apart from what is shown: history that is put
// in above must not be read out, and a new message must.

import { h } from './dom.js';

let region;

export function startAnnouncer() {
  region = h('div', { class: 'hidden-text', role: 'status', 'aria-live': 'polite' });
  document.body.append(region);
}

export function announce(text) {
  region?.replaceChildren(h('p', null, text));
}
