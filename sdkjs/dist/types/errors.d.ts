/** The reasons of the server's catalogue. */
export declare const serverReasons: readonly ["parse_error", "invalid_request", "method_not_found", "unauthenticated", "token_expired", "clock_skew", "app_unknown", "permission_denied", "not_found", "conflict", "last_owner", "too_many", "too_large", "invalid_argument", "unsupported", "rate_limited", "session_limit", "internal", "unavailable"];
/** The reasons that the client itself adds. */
export declare const clientReasons: readonly ["offline", "timeout", "aborted", "unsupported", "storage", "expired"];
/** Why something failed. Extensions of a server may add their own. */
export type Reason = (typeof serverReasons)[number] | (typeof clientReasons)[number] | (string & {});
/** What a server tells of an error besides its reason. */
export interface ErrorDetail {
    /** The offending parameter: "to", "content.text", "users[3]". */
    field?: string;
    /** The limit that was exceeded, in the unit of the field. */
    max?: number;
    /** The server's clock, where the client's may be at fault. */
    serverTime?: number;
    /** Finds the entry of an internal error in the server's log. */
    incident?: string;
}
/** Every error that this SDK rejects with. */
export declare class IMError extends Error {
    readonly name = "IMError";
    /** Stable: compare this and never the message. */
    readonly reason: Reason;
    /** The same call may succeed later. */
    readonly retryable: boolean;
    /** When to try again, where the server said so. */
    readonly retryAfterMs?: number;
    readonly detail?: ErrorDetail;
    constructor(reason: Reason, message: string, more?: {
        retryAfterMs?: number | undefined;
        retryable?: boolean;
        detail?: ErrorDetail;
        cause?: unknown;
    });
}
/** A JSON-RPC error object as the server sends it. */
export interface WireError {
    code: number;
    message: string;
    data?: ErrorDetail & {
        reason: string;
        retryAfterMs?: number;
    };
}
