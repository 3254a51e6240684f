// Times as people say them.

import { locale, t } from './i18n.js';

const formats = new Map();

function format(options) {
  const key = locale() + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale(), options));
  return formats.get(key);
}

/** Days between the day of a time and today, by the local calendar. */
function daysAgo(ms) {
  const midnight = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate(), 12).getTime();
  return Math.round((midnight(new Date()) - midnight(new Date(ms))) / 86_400_000);
}

/** "09:05", or "9:05 AM" where people say so. */
export function clockTime(ms) {
  return format({ timeStyle: 'short' }).format(ms);
}

/** For a list: the hour of today, else the day. */
export function shortTime(ms) {
  const ago = daysAgo(ms);
  if (ago <= 0) return clockTime(ms);
  if (ago === 1) return t('yesterday');
  if (ago < 7) return format({ weekday: 'short' }).format(ms);
  if (new Date(ms).getFullYear() === new Date().getFullYear())
    return format({ month: 'short', day: 'numeric' }).format(ms);
  return format({ year: 'numeric', month: 'numeric', day: 'numeric' }).format(ms);
}

/** For a date separator. */
export function dayName(ms) {
  const ago = daysAgo(ms);
  if (ago <= 0) return t('today');
  if (ago === 1) return t('yesterday');
  if (ago < 7) return format({ weekday: 'long' }).format(ms);
  const year = new Date(ms).getFullYear() === new Date().getFullYear() ? undefined : 'numeric';
  return format({ weekday: 'short', month: 'long', day: 'numeric', year }).format(ms);
}

/** For who points at a time. */
export function fullTime(ms) {
  return format({ dateStyle: 'full', timeStyle: 'short' }).format(ms);
}

/** One key per local day. */
export function dayKey(ms) {
  const d = new Date(ms);
  return `${d.getFullYear()}-${d.getMonth() + 1}-${d.getDate()}`;
}
