// Begins: who is it, in which words, and draws.

import { startAnnouncer } from './announce.js';
import { appView } from './app.js';
import { Chat } from './chat.js';
import { locale } from './i18n.js';
import { startTheme } from './theme.js';
import { validName, welcome } from './welcome.js';

startTheme();
startAnnouncer();

const user = new URLSearchParams(location.search).get('user') ?? '';
const chat = validName.test(user) ? new Chat(user) : null;
const kept = { drafts: new Map(), memories: new Map(), menuFocused: false };
let life = new AbortController();
let shown = null;

function draw() {
  life.abort();
  life = new AbortController();
  document.documentElement.lang = locale();
  shown?.remove();
  shown = chat ? appView(chat, kept, draw, life.signal) : welcome(user, draw);
  document.body.prepend(shown);
}

// iOS lays its keyboard over the page: make the page as high as what is left.
visualViewport?.addEventListener('resize', () => {
  if (visualViewport.scale === 1)
    document.documentElement.style.setProperty('--app-height', `${visualViewport.height}px`);
});

draw();
chat?.start();
