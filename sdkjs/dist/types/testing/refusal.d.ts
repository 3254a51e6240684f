/** Thrown by a double's operation: it is answered as an error with this reason. */
export declare class Refusal extends Error {
    /** One of the server's reasons: "not_found". */
    readonly reason: string;
    /** The rest of the error's data: field, max, retryAfterMs. */
    readonly more: object;
    constructor(
    /** One of the server's reasons: "not_found". */
    reason: string, 
    /** The rest of the error's data: field, max, retryAfterMs. */
    more?: object);
}
/** The codes of the reasons that a client acts on. */
export declare const codes: Record<string, number>;
