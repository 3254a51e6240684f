import { IMError } from './errors.js';
import { baseUrl, type PlatformAdapter } from './platform.js';

/** "https://host/im" of "https://host/im/sdk/index.js"; undefined of anything else. @internal */
export function baseOfScript(url: string | undefined): string | undefined {
  return /^(https?:\/\/.+)\/sdk\/[^/?#]+\.js(?:[?#].*)?$/.exec(url ?? '')?.[1];
}

/** The URL of the server's WebSocket. @internal */
export function socketUrl(endpoint: string | URL | undefined, appId: string, p: PlatformAdapter): string {
  const given = endpoint ?? baseOfScript(import.meta.url);
  let url: URL;
  try {
    url = new URL(given ?? 'http://', baseUrl(p)); // the default is none
  } catch (cause) {
    throw new IMError('invalid_argument', `no valid endpoint: ${given}`, { cause });
  }
  url.protocol = url.protocol.replace(/^http/, 'ws');
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/ws`;
  url.search = `?app=${encodeURIComponent(appId)}`;
  url.hash = '';
  return url.href;
}
