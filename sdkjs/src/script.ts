// The entry of the script build: it defines the global IMClient, and nothing else.
import { IMClient } from './client.js';

Object.assign(globalThis, { IMClient });
