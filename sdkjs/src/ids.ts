import { type PlatformAdapter, randomOf, withStorage } from './platform.js';

const hex = (bytes: Uint8Array) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

/** A UUID of version 7, https://www.rfc-editor.org/rfc/rfc9562#section-5.7 @internal */
export function uuidv7(p: PlatformAdapter): string {
  const b = randomOf(p, 16);
  let ms = Date.now();
  for (let i = 5; i >= 0; i--) {
    b[i] = ms % 256;
    ms = Math.floor(ms / 256);
  }
  b[6] = 0x70 | ((b[6] as number) & 0x0f);
  b[8] = 0x80 | ((b[8] as number) & 0x3f);
  return hex(b).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

const deviceKey = 'h5im.device';

/** The id of this installation: kept where the browser lets us, else new every time. @internal */
export function deviceId(p: PlatformAdapter): string {
  const known = withStorage(p, (s) => s.getItem(deviceKey));
  if (known && /^[\w.-]{1,64}$/.test(known)) return known;
  const id = hex(randomOf(p, 16));
  withStorage(p, (s) => s.setItem(deviceKey, id));
  return id;
}
