// The page's language, and its words.

import { en } from './words-en.js';
import { zh } from './words-zh.js';

const words = { en, zh };
const storageKey = 'chat.language';

export const languages = [
  { id: 'en', name: 'English' },
  { id: 'zh', name: '中文' },
];

let language = fromBrowser();

function fromBrowser() {
  const chosen = read();
  if (chosen in words) return chosen;
  const wanted = navigator.languages?.length ? navigator.languages : [navigator.language];
  for (const tag of wanted) {
    const base = tag.toLowerCase().split('-')[0];
    if (base in words) return base;
  }
  return 'en';
}

function read() {
  try {
    return localStorage.getItem(storageKey) ?? '';
  } catch {
    return ''; // storage is off: the choice lasts for this page
  }
}

export function currentLanguage() {
  return language;
}

/** The tag that Intl and the lang attribute get. */
export function locale() {
  if (language === 'zh') return 'zh-CN';
  return navigator.language?.startsWith('en') ? navigator.language : 'en';
}

export function chooseLanguage(id) {
  language = id;
  try {
    localStorage.setItem(storageKey, id);
  } catch {
    // as above
  }
}

/** The words for a key. Values fill the places that the words have for them. */
export function t(key, values) {
  const found = words[language][key] ?? en[key];
  return typeof found === 'function' ? found(values) : found;
}

/** What to tell of an error, by its reason. */
export function explain(error) {
  return words[language].reasons[error?.reason] ?? t('errorUnknown');
}
