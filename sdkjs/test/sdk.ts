// What the tests test: the sources, or with DIST=1 what is built from them.
export * from '../src/index.js';
export type MessageTarget = { user: string } | { conversation: string };
