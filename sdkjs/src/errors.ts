/** The reasons of the server's catalogue. */
export const serverReasons = [
  'parse_error',
  'invalid_request',
  'method_not_found',
  'unauthenticated',
  'token_expired',
  'clock_skew',
  'app_unknown',
  'permission_denied',
  'not_found',
  'conflict',
  'last_owner',
  'too_many',
  'too_large',
  'invalid_argument',
  'unsupported',
  'rate_limited',
  'session_limit',
  'internal',
  'unavailable',
] as const;

/** The reasons that the client itself adds. */
export const clientReasons = ['offline', 'timeout', 'aborted', 'unsupported', 'storage', 'expired'] as const;

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

const transient: readonly string[] = ['rate_limited', 'unavailable', 'internal', 'offline', 'timeout'];

/** Every error that this SDK rejects with. */
export class IMError extends Error {
  override readonly name = 'IMError';
  /** Stable: compare this and never the message. */
  readonly reason: Reason;
  /** The same call may succeed later. */
  readonly retryable: boolean;
  /** When to try again, where the server said so. */
  readonly retryAfterMs?: number;
  readonly detail?: ErrorDetail;

  constructor(
    reason: Reason,
    message: string,
    more: {
      retryAfterMs?: number | undefined;
      retryable?: boolean;
      detail?: ErrorDetail;
      cause?: unknown;
    } = {},
  ) {
    super(message, more.cause ? { cause: more.cause } : undefined);
    this.reason = reason;
    const { retryable = transient.includes(reason), retryAfterMs = 0 } = more;
    this.retryable = retryable;
    if (retryAfterMs > 0) this.retryAfterMs = retryAfterMs;
    if (more.detail) this.detail = more.detail;
  }
}

/** A JSON-RPC error object as the server sends it. */
export interface WireError {
  code: number;
  message: string;
  data?: ErrorDetail & { reason: string; retryAfterMs?: number };
}

/** Whether to try again is told by the code, so that it is known of a reason that is not. @internal */
export function fromWire({ code, message, data }: WireError): IMError {
  const { reason = 'internal', retryAfterMs, ...detail } = data ?? {};
  const retryable = code >= 500 || (code === 429 && reason !== 'session_limit');
  return new IMError(reason, message, { retryAfterMs, retryable, detail });
}

/** @internal */
export function toIMError(e: unknown): IMError {
  return e instanceof IMError ? e : new IMError('internal', (e as Error)?.message ?? String(e), { cause: e });
}
