// The dialog that begins a conversation: with one person, or a group.

import { openDialog } from './dialog.js';
import { h } from './dom.js';
import { explain, t } from './i18n.js';
import { icon } from './icons.js';
import { personAvatar, personLine } from './people.js';
import { choices } from './settings.js';
import { validName } from './welcome.js';

/** People whose name or user name has the query in it; a valid user name is somebody too. */
export function findPeople(chat, query, without = []) {
  const wanted = query.trim().toLocaleLowerCase();
  const known = chat.knownPeople().filter((p) => p.id !== chat.me.id && !without.includes(p.id));
  const found = known.filter((p) => !wanted || p.id.includes(wanted) || p.name.toLocaleLowerCase().includes(wanted));
  const exact =
    validName.test(wanted) && wanted !== chat.me.id && !without.includes(wanted) && !known.some((p) => p.id === wanted);
  return exact ? [...found, { id: wanted, name: wanted, avatar: `/avatar/${wanted}.svg` }] : found;
}

/** opened is told the id of the conversation. */
export function newConversation(chat, opened) {
  let kind = 'direct';
  const chosen = new Map();

  openDialog(t('newConversation'), (close) => {
    const title = h('input', {
      class: 'field',
      id: 'new-title',
      autocomplete: 'off',
      maxlength: '80',
      placeholder: t('groupNameHint'),
      dir: 'auto',
    });
    const titlePart = h(
      'div',
      { hidden: true },
      h('label', { class: 'label', for: 'new-title' }, t('groupName')),
      title,
    );
    const query = h('input', {
      class: 'field',
      id: 'new-query',
      type: 'search',
      autocomplete: 'off',
      autocapitalize: 'none',
      spellcheck: 'false',
      placeholder: t('nameOrId'),
      autofocus: true,
    });
    const queryLabel = h('label', { class: 'label', for: 'new-query' });
    const chips = h('ul', { class: 'chips', hidden: true });
    const people = h('div', { class: 'people' });
    const problem = h('p', { class: 'error-text', role: 'alert', hidden: true });
    const submit = h('button', { class: 'button primary', type: 'submit' });

    function draw() {
      const group = kind === 'group';
      titlePart.hidden = !group;
      queryLabel.textContent = group ? t('addPeople') : t('toWhom');
      submit.textContent = group ? t('createGroup') : t('startChat');
      submit.disabled = group ? title.value.trim() === '' : chosen.size === 0;
      chips.hidden = !group || chosen.size === 0;
      chips.replaceChildren(...[...chosen.values()].map(chip));
      const found = findPeople(chat, query.value);
      people.replaceChildren(...(found.length > 0 ? found.map(line) : [h('p', { class: 'hint' }, t('nobodyFound'))]));
    }

    function chip(p) {
      const drop = () => {
        chosen.delete(p.id);
        draw();
        query.focus();
      };
      return h(
        'li',
        null,
        h(
          'button',
          { class: 'chip', type: 'button', 'aria-label': t('remove', { name: p.name }), on: { click: drop } },
          personAvatar(p),
          p.name,
          icon('close'),
        ),
      );
    }

    function line(p) {
      const button = h(
        'button',
        { class: 'person', type: 'button', 'aria-pressed': String(chosen.has(p.id)), data: { user: p.id } },
        ...personLine(p, h('span', { class: 'mark' }, icon('check'))),
      );
      button.addEventListener('click', () => {
        const had = chosen.has(p.id);
        if (kind === 'direct') chosen.clear();
        if (had) chosen.delete(p.id);
        else chosen.set(p.id, p);
        draw();
        people.querySelector(`[data-user="${CSS.escape(p.id)}"]`)?.focus();
      });
      return button;
    }

    async function begin(e) {
      e.preventDefault();
      submit.disabled = true;
      problem.hidden = true;
      try {
        const users = [...chosen.keys()];
        const id =
          kind === 'group' ? await chat.createGroup(title.value.trim(), users) : await chat.createDirect(users[0]);
        close();
        opened(id);
      } catch (error) {
        problem.textContent = explain(error);
        problem.hidden = false;
        submit.disabled = false;
      }
    }

    title.addEventListener('input', draw);
    query.addEventListener('input', draw);
    query.addEventListener('keydown', (e) => {
      if (e.isComposing) return;
      const first = people.querySelector('.person');
      if (e.key === 'Enter' && first && query.value.trim()) {
        e.preventDefault();
        if (first.getAttribute('aria-pressed') === 'false') first.click();
        if (kind === 'group') {
          query.value = '';
          draw();
        }
        (kind === 'group' ? query : submit).focus();
      } else if (e.key === 'ArrowDown' && first) {
        e.preventDefault();
        first.focus();
      }
    });
    people.addEventListener('keydown', (e) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
      if (!step) return;
      e.preventDefault();
      const all = [...people.querySelectorAll('.person')];
      const to = all.indexOf(document.activeElement) + step;
      (to < 0 ? query : all[Math.min(to, all.length - 1)]).focus();
    });
    const kinds = choices(
      t('newConversation'),
      [
        { id: 'direct', name: t('kindDirect') },
        { id: 'group', name: t('kindGroup') },
      ],
      kind,
      (k) => {
        kind = k;
        if (kind === 'direct') for (const id of [...chosen.keys()].slice(1)) chosen.delete(id);
        draw();
      },
    );
    draw();
    chat.loadPeople().then(draw);
    return [
      h(
        'form',
        { novalidate: true, on: { submit: begin } },
        h('div', { class: 'body' }, kinds, titlePart, h('div', null, queryLabel, query), chips, people, problem),
        h('footer', null, h('button', { class: 'button', type: 'button', on: { click: close } }, t('cancel')), submit),
      ),
    ];
  });
}
