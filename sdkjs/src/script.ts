// The entry of the script build: it defines the global IMClient, and nothing else.
import { IMClient } from './client.js';
import type { IMOptions } from './core.js';
import { baseOfScript } from './endpoint.js';
import { IMError } from './errors.js';
import { version } from './version.js';

// A script is "current" only while it is evaluated.
const script = globalThis.document?.currentScript as HTMLScriptElement | null | undefined;
const base = baseOfScript(script?.src);

class ScriptClient extends IMClient {
  static readonly IMError = IMError;
  static readonly version = version;

  constructor(options: IMOptions) {
    super(base === undefined ? options : { ...options, endpoint: options.endpoint ?? base });
  }
}

Object.defineProperty(ScriptClient, 'name', { value: 'IMClient' });
Object.assign(globalThis, { IMClient: ScriptClient });
