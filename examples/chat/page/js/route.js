// Which conversation is open, and whether its panel: kept in the address, so
// that the browser's back button does what a phone's user expects.

const listeners = new Set();

/** {conversation, panel}; conversation is '' in the list. */
export function currentRoute() {
  const [, kind, id, panel] = location.hash.split('/');
  if (kind !== 'c' || !id) return { conversation: '', panel: false };
  return { conversation: decode(id), panel: panel === 'details' };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function address({ conversation, panel }) {
  const hash = conversation ? `#/c/${encodeURIComponent(conversation)}${panel ? '/details' : ''}` : '';
  return location.pathname + location.search + hash;
}

/** Goes somewhere; back returns to where one was. */
export function go(route) {
  if (address(route) === address(currentRoute())) return;
  history.pushState({ depth: (history.state?.depth ?? 0) + 1 }, '', address(route));
  tell();
}

/** Goes somewhere from where there is no way back. */
export function replace(route) {
  history.replaceState(history.state, '', address(route));
  tell();
}

/** Goes up one level: by the browser's history where that is the way that one came. */
export function up(route) {
  if (history.state?.depth > 0) history.back();
  else replace(route);
}

export function onRoute(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell() {
  for (const listener of listeners) listener(currentRoute());
}

addEventListener('popstate', tell);
