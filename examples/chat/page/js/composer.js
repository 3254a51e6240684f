// Where a message is written. Enter sends, Shift+Enter begins a line, and Enter
// that chooses a word of an input method does neither.

import { h } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';

/** keyCode of a key that an input method is still working on; Safari says isComposing too late. */
const composingKey = 229;

/**
 * @param name whom one writes to, for the placeholder
 * @param text what was written and not sent
 * @param on {send(text), change(text), leave()}
 */
export function composer({ name, text, on }) {
  const area = h('textarea', {
    rows: '1',
    autocomplete: 'off',
    enterkeyhint: 'send',
    dir: 'auto',
    'aria-label': t('writeTo', { name }),
    placeholder: t('write'),
    prop: { value: text },
  });
  const button = h('button', { class: 'icon-button send', type: 'submit', 'aria-label': t('send') }, icon('send'));

  const changed = () => {
    button.disabled = area.value.trim() === '';
    area.style.blockSize = 'auto';
    area.style.blockSize = `${area.scrollHeight}px`;
    area.style.overflowY = area.scrollHeight > area.clientHeight ? 'auto' : 'hidden';
  };
  const send = () => {
    const written = area.value.trim();
    if (!written) return;
    area.value = '';
    changed();
    on.change('');
    on.send(written);
    area.focus();
  };

  area.addEventListener('input', () => {
    changed();
    on.change(area.value);
  });
  area.addEventListener('keydown', (e) => {
    if (e.isComposing || e.keyCode === composingKey) return;
    if (e.key === 'Enter' && !e.shiftKey && !e.ctrlKey && !e.metaKey && !e.altKey) {
      e.preventDefault();
      send();
    } else if (e.key === 'Escape') {
      e.preventDefault();
      e.stopPropagation();
      on.leave();
    }
  });
  const submit = (e) => {
    e.preventDefault();
    send();
  };
  const element = h('div', { class: 'composer' }, h('form', { on: { submit } }, area, button));
  requestAnimationFrame(changed);
  return {
    element,
    focus: () => area.focus(),
    /** Puts a text before what is written. */
    put(text) {
      area.value = area.value ? `${text}\n${area.value}` : text;
      changed();
      on.change(area.value);
      area.focus();
    },
  };
}
