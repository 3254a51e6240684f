import type { Fallbacks } from './fallbacks.js';
import { scriptUrl } from './script-url.js';

/** loadFallbacks of the script build: from beside the script. @internal */
export const loadFallbacks = async (): Promise<Fallbacks> =>
  (await import(new URL('fallbacks.js', scriptUrl).href)).fallbacks;
