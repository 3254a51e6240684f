import type { Message } from './protocol.js';
/** The newest messages of a conversation without a hole, and what they are true for. */
export interface Recent {
    epoch: string;
    /** Every change of them up to this one is in them. */
    rev: number;
    from: number;
    to: number;
    firstSeq: number;
    messages: Message[];
}
