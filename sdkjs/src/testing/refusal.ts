/** Thrown by a double's operation: it is answered as an error with this reason. */
export class Refusal extends Error {
  constructor(
    /** One of the server's reasons: "not_found". */
    readonly reason: string,
    /** The rest of the error's data: field, max, retryAfterMs. */
    readonly more: object = {},
  ) {
    super(reason);
  }
}

/** The codes of the reasons that a client acts on. */
export const codes: Record<string, number> = {
  unauthenticated: 401,
  token_expired: 401,
  clock_skew: 401,
  not_found: 404,
  internal: 500,
  session_limit: 429,
  rate_limited: 429,
  unavailable: 503,
};
