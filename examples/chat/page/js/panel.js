// The details of a group: its members, and who may come and go.

import { confirm } from './dialog.js';
import { h, keyed } from './dom.js';
import { explain, t } from './i18n.js';
import { icon } from './icons.js';
import { groupAvatar, personLine } from './people.js';

/** close hides the panel. */
export function panelView(chat, conversation, close, signal) {
  const { id } = conversation;
  const count = h('p', null);
  const people = h('ul', { class: 'people' });
  const problem = h('p', { class: 'error-text', role: 'alert', hidden: true });
  const listProblem = h('p', { class: 'error-text', role: 'alert', hidden: true });
  const field = h('input', {
    class: 'field',
    id: 'add-member',
    autocomplete: 'off',
    autocapitalize: 'none',
    spellcheck: 'false',
    placeholder: t('nameOrId'),
    list: 'add-suggestions',
  });
  const suggestions = h('datalist', { id: 'add-suggestions' });
  const addButton = h('button', { class: 'button', type: 'submit' }, t('add'));
  const add = h(
    'section',
    { hidden: true },
    h(
      'form',
      { novalidate: true, on: { submit: addOne } },
      h('label', { class: 'label', for: 'add-member' }, t('addMember')),
      h('div', { class: 'add-people' }, field, addButton),
      problem,
    ),
    suggestions,
  );
  const leave = h('button', { class: 'button danger leave', type: 'button', on: { click: askLeave } }, t('leave'));
  const leaveHint = h('p', { class: 'hint', hidden: true }, t('leaveOwner'));
  const closeButton = h(
    'button',
    { class: 'icon-button', type: 'button', 'aria-label': t('close'), on: { click: close } },
    icon('close'),
  );
  const element = h(
    'aside',
    { class: 'panel', 'aria-label': t('groupInfo') },
    h('div', { class: 'bar' }, h('h2', { class: 'who name' }, t('groupInfo')), closeButton),
    h(
      'div',
      { class: 'summary' },
      groupAvatar(conversation, 'large'),
      h('h3', { dir: 'auto' }, chat.title(conversation)),
      count,
    ),
    add,
    h('section', null, h('h4', null, t('memberList')), people, listProblem),
    h('section', null, leave, leaveHint),
  );
  const members = chat.members(id);

  function draw() {
    const list = members.list;
    const mine = list.find((m) => m.user === chat.me.id);
    const owner = mine?.role === 'owner';
    const soleOwner = owner && list.filter((m) => m.role === 'owner').length === 1;
    count.textContent = t('members', { n: members.count });
    add.hidden = !owner;
    leave.disabled = soleOwner;
    leaveHint.hidden = !soleOwner;
    listProblem.hidden = !members.error;
    if (members.error) listProblem.textContent = `${t('membersFailed')} ${explain(members.error)}`;
    keyed(
      people,
      list.map((m) => ({ key: m.user, member: m, removable: owner && m.user !== chat.me.id })),
      (row) => {
        const item = h('li', { class: 'person' });
        drawMember(item, row);
        return item;
      },
      drawMember,
    );
    suggestions.replaceChildren(
      ...chat
        .knownPeople()
        .filter((p) => !list.some((m) => m.user === p.id))
        .map((p) => h('option', { value: p.id }, p.name)),
    );
  }

  function drawMember(item, { member, removable }) {
    const profile = chat.profile(member.user);
    const now = [profile.name, profile.avatar, member.role, removable].join('\n');
    if (item.looks === now) return;
    item.looks = now;
    const role = { owner: t('roleOwner'), admin: t('roleAdmin') }[member.role];
    const name = profile.name || profile.id;
    item.replaceChildren(
      ...personLine(
        { ...profile, name: member.user === chat.me.id ? `${name} (${t('you')})` : name },
        ...[
          role && h('span', { class: 'role' }, role),
          removable &&
            h(
              'button',
              {
                class: 'icon-button',
                type: 'button',
                'aria-label': t('remove', { name }),
                title: t('remove', { name }),
                on: { click: () => askRemove(member.user, name) },
              },
              icon('close'),
            ),
        ].filter(Boolean),
      ),
    );
  }

  function tell(text) {
    problem.textContent = text;
    problem.hidden = text === '';
    field.setAttribute('aria-invalid', String(text !== ''));
  }

  async function addOne(e) {
    e.preventDefault();
    const name = field.value.trim();
    const user = chat.knownPeople().find((p) => p.name === name)?.id ?? name.toLowerCase();
    if (!user) return;
    addButton.disabled = true;
    try {
      const result = await chat.addMember(id, user);
      if (result.changed) field.value = '';
      tell(result.changed ? '' : t(result.reason ? 'memberUnknown' : 'memberAlready', { name }));
    } catch (error) {
      tell(explain(error));
    }
    addButton.disabled = false;
    field.focus();
  }

  function askRemove(user, name) {
    confirm({
      title: t('removeTitle', { name }),
      text: t('removeText'),
      action: t('removeDo'),
      explain,
      act: async () => {
        await chat.removeMember(id, user);
        closeButton.focus();
      },
    });
  }

  function askLeave() {
    confirm({ title: t('leaveTitle'), text: t('leaveText'), action: t('leave'), explain, act: () => chat.leave(id) });
  }

  const offs = [members.onChange(draw), chat.on('profiles', draw), chat.on('list', draw)];
  signal.addEventListener('abort', () => {
    for (const off of offs) off();
  });
  draw();
  members.load();
  chat.loadPeople().then(draw);
  return { element, focus: () => closeButton.focus() };
}
