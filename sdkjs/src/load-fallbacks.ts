import type { Fallbacks } from './fallbacks.js';

/** Loads what most pages never need. @internal */
export const loadFallbacks = async (): Promise<Fallbacks> => (await import('./fallbacks.js')).fallbacks;
