// Light, dark, or as the system has it.

const storageKey = 'chat.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

export const themes = ['system', 'light', 'dark'];

let theme = 'system';

export function currentTheme() {
  return theme;
}

export function startTheme() {
  try {
    const stored = localStorage.getItem(storageKey);
    if (themes.includes(stored)) theme = stored;
  } catch {
    // storage is off: the choice lasts for this page
  }
  system.addEventListener('change', apply);
  apply();
}

export function chooseTheme(name) {
  theme = name;
  try {
    localStorage.setItem(storageKey, name);
  } catch {
    // as above
  }
  apply();
}

function apply() {
  const dark = theme === 'dark' || (theme === 'system' && system.matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
}
