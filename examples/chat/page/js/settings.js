// Appearance and language: for the menu and the welcome page.

import { h } from './dom.js';
import { chooseLanguage, currentLanguage, languages, t } from './i18n.js';
import { chooseTheme, currentTheme, themes } from './theme.js';

let nth = 0;

/** A row of radio buttons. options: [{id, name, lang}]. */
export function choices(label, options, chosen, choose) {
  const name = `choice-${++nth}`;
  return h(
    'fieldset',
    { class: 'choices', 'aria-label': label },
    options.map((o) =>
      h(
        'label',
        { lang: o.lang },
        h('input', { type: 'radio', name, value: o.id, checked: o.id === chosen, on: { change: () => choose(o.id) } }),
        h('span', null, o.name),
      ),
    ),
  );
}

export function themeChoice() {
  const names = { system: t('themeSystem'), light: t('themeLight'), dark: t('themeDark') };
  return choices(
    t('theme'),
    themes.map((id) => ({ id, name: names[id] })),
    currentTheme(),
    chooseTheme,
  );
}

/** changed is called after another language was chosen: draw everything anew. */
export function languageChoice(changed) {
  const options = languages.map((l) => ({ ...l, lang: l.id }));
  return choices(t('language'), options, currentLanguage(), (id) => {
    chooseLanguage(id);
    changed();
  });
}
