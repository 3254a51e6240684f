// The page without ?user=: choose who you are.

import { h } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';
import { personAvatar } from './people.js';
import { languageChoice, themeChoice } from './settings.js';

const samples = [
  { id: 'alice', name: 'Alice Moreau', avatar: '/avatar/alice.svg' },
  { id: 'bob', name: 'Bob Tanaka', avatar: '/avatar/bob.svg' },
];

export const validName = /^[a-z0-9_-]{1,32}$/;

/** @param refused a name that is none, from the address */
export function welcome(refused, redraw) {
  document.title = t('appName');
  const problem = h(
    'p',
    { class: 'error-text', id: 'name-problem', role: 'alert', hidden: !refused },
    t('welcomeNameWrong'),
  );
  const field = h('input', {
    class: 'field',
    id: 'name',
    name: 'user',
    autocomplete: 'username',
    autocapitalize: 'none',
    spellcheck: 'false',
    maxlength: '32',
    placeholder: t('welcomeNameHint'),
    prop: { value: refused },
    'aria-invalid': String(refused !== ''),
    'aria-describedby': 'name-problem',
  });
  const submit = (e) => {
    e.preventDefault();
    const name = field.value.trim().toLowerCase();
    problem.hidden = validName.test(name);
    field.setAttribute('aria-invalid', String(!problem.hidden));
    if (problem.hidden) location.assign(`/?user=${encodeURIComponent(name)}`);
    else field.focus();
  };
  return h(
    'div',
    { class: 'welcome' },
    h(
      'main',
      null,
      h('img', { class: 'mark', src: '/icon.svg', alt: '', width: '52', height: '52' }),
      h('div', null, h('h1', null, t('welcomeTitle')), h('p', { class: 'lead' }, t('welcomeLead'))),
      h(
        'ul',
        { class: 'samples' },
        samples.map((p) =>
          h(
            'li',
            null,
            h(
              'a',
              { class: 'sample', href: `/?user=${p.id}` },
              personAvatar(p),
              h('span', { class: 'who' }, h('span', { class: 'name' }, p.name), h('span', { class: 'id' }, `@${p.id}`)),
              icon('next'),
            ),
          ),
        ),
      ),
      h(
        'form',
        { novalidate: true, on: { submit } },
        h('label', { class: 'label', for: 'name' }, t('welcomeName')),
        h(
          'div',
          { class: 'own-name' },
          field,
          h('button', { class: 'button primary', type: 'submit' }, t('welcomeEnter')),
        ),
        problem,
      ),
      h('div', { class: 'settings' }, languageChoice(redraw), themeChoice()),
    ),
  );
}
