import type { Operations } from './protocol.js';
/** The name of an operation. */
export type Operation = keyof Operations;
export type Params<O extends Operation> = Operations[O]['params'];
export type Result<O extends Operation> = Operations[O]['result'];
