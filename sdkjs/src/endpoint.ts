import { IMError } from './errors.js';
import { baseUrl, type PlatformAdapter } from './platform.js';

/** "https://host/im" of "https://host/im/sdk/index.js"; undefined of anything else. @internal */
export function baseOfScript(url: string | undefined): string | undefined {
  return /^(https?:\/\/.+)\/sdk\/[^/?#]+\.js(?:[?#].*)?$/.exec(url ?? '')?.[1];
}

/** The URL of one of the server's endpoints. @internal */
export function urlOf(
  endpoint: string | URL | undefined,
  path: string,
  appId: string,
  p: PlatformAdapter,
): string {
  const given = endpoint ?? baseOfScript(import.meta.url);
  let url: URL;
  try {
    url = new URL(given ?? 'http://', baseUrl(p)); // the default is none
  } catch (cause) {
    throw new IMError('invalid_argument', `no valid endpoint: ${given}`, { cause });
  }
  url.protocol = url.protocol.replace(/^(http|ws)/, path === 'ws' ? 'ws' : 'http');
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${path}`;
  url.search = `?app=${encodeURIComponent(appId)}`;
  url.hash = '';
  return url.href;
}
