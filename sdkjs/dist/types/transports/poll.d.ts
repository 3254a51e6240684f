import type { Dial } from './conn.js';
export declare const poll: Dial;
