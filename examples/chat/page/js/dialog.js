// Modal dialogs. The browser keeps the focus inside, closes on Esc, and gives
// the focus back.

import { h } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';

let nth = 0;

/**
 * Opens a dialog with a title. fill gets a function that closes it and returns
 * its children.
 */
export function openDialog(title, fill) {
  const id = `dialog-${++nth}`;
  const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': id });
  const close = () => dialog.close();
  dialog.append(
    h(
      'header',
      null,
      h('h2', { id }, title),
      h(
        'button',
        { class: 'icon-button', type: 'button', 'aria-label': t('close'), on: { click: close } },
        icon('close'),
      ),
    ),
    ...fill(close),
  );
  const pressOutside = (e) => e.target === dialog && close();
  dialog.addEventListener('pointerdown', pressOutside);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks before something that cannot be undone. act may fail; its error is shown by explain. */
export function confirm({ title, text, action, act, explain }) {
  openDialog(title, (close) => {
    const problem = h('p', { class: 'error-text', role: 'alert', hidden: true });
    const doIt = h('button', { class: 'button danger', type: 'button' }, action);
    doIt.addEventListener('click', async () => {
      doIt.disabled = true;
      try {
        await act();
        close();
      } catch (error) {
        problem.textContent = explain(error);
        problem.hidden = false;
        doIt.disabled = false;
      }
    });
    return [
      h('div', { class: 'body' }, h('p', null, text), problem),
      h(
        'footer',
        null,
        h('button', { class: 'button', type: 'button', autofocus: true, on: { click: close } }, t('cancel')),
        doIt,
      ),
    ];
  });
}
