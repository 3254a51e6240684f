// Line icons on a 24 x 24 grid.

import { svg } from './dom.js';

const paths = {
  back: ['M15 5l-7 7 7 7'],
  chat: [
    'M4 6.5A2.5 2.5 0 0 1 6.5 4h11A2.5 2.5 0 0 1 20 6.5v8a2.5 2.5 0 0 1-2.5 2.5H12l-5 4v-4h-.5A2.5 2.5 0 0 1 4 14.5z',
  ],
  check: ['M5 12.5l4.5 4.5L19 7.5'],
  sent: ['M6 12.5l4 4 8-9'],
  delivered: ['M2.5 12.5l4 4 8-9', 'M11 15.5l1 1 8.5-9'],
  clock: ['M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z', 'M12 7.5V12l3 2'],
  close: ['M6 6l12 12', 'M18 6L6 18'],
  compose: [
    'M12 5H6.5A2.5 2.5 0 0 0 4 7.5v10A2.5 2.5 0 0 0 6.5 20h10a2.5 2.5 0 0 0 2.5-2.5V12',
    'M18.4 3.6a1.7 1.7 0 0 1 2.4 2.4L13 13.8l-3.3.900.9-3.3z',
  ],
  down: ['M12 5v14', 'M6 13l6 6 6-6'],
  group: [
    'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z',
    'M2.5 20c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6',
    'M16 4.3a3.5 3.5 0 0 1 0 6.4',
    'M18 14.6c2.1.800 3.5 2.7 3.5 5.4',
  ],
  more: ['M5 12h.01', 'M12 12h.01', 'M19 12h.01'],
  next: ['M9 5l7 7-7 7'],
  panel: [
    'M6.5 4h11A2.5 2.5 0 0 1 20 6.5v11a2.5 2.5 0 0 1-2.5 2.5h-11A2.5 2.5 0 0 1 4 17.5v-11A2.5 2.5 0 0 1 6.5 4z',
    'M14.5 4v16',
  ],
  search: ['M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14z', 'M20 20l-4-4'],
  send: ['M12 19V5', 'M6 11l6-6 6 6'],
  warning: ['M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z', 'M12 7.5v5.5', 'M12 16.5h.01'],
};

/** An icon. It says nothing to a screen reader: label what it is in. */
export function icon(name) {
  return svg(
    'svg',
    { class: `icon icon-${name}`, viewBox: '0 0 24 24', 'aria-hidden': 'true' },
    ...paths[name].map((d) => svg('path', { d })),
  );
}
