import { type PlatformAdapter, randomOf, withStorage } from './platform.js';

const hex = (bytes: Uint8Array) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

/** A UUID of version 7, https://www.rfc-editor.org/rfc/rfc9562#section-5.7 @internal */
export function uuidv7(p: PlatformAdapter): string {
  const time = Date.now().toString(16).padStart(12, '0');
  const random = randomOf(p, 10);
  random[2] = 0x80 | ((random[2] as number) & 0x3f); // the variant
  return `${time}7${hex(random).slice(1)}`.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
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
