import { IMError } from './errors.js';
import { guard } from './wait.js';

/** Why a new token is wanted. */
export type TokenReason = 'initial' | 'expired' | 'rejected';

/** How long an application may take to find a token. */
const getTokenTimeoutMs = 30_000;

/** Where the session's token comes from. Without a token the host's cookie counts. @internal */
export class Tokens {
  #asking: Promise<string> | undefined;

  constructor(
    private token: string | undefined,
    /** Asks the application, if it can be asked. */
    readonly getToken?: (why: TokenReason) => Promise<string>,
  ) {}

  /** Another attempt may have a better one: the application's, or the cookie of then. */
  get renewable(): boolean {
    return !!this.getToken || !this.token;
  }

  /** The token of now. */
  get current(): string | undefined {
    return this.token;
  }

  /** The token to open a session with; a new one where there is a reason. The application is asked once at a time. */
  async get(why?: TokenReason): Promise<string | undefined> {
    const { getToken } = this;
    if (!getToken || (this.token && !why)) return this.token;
    const failed = (cause?: unknown) => new IMError('unavailable', 'getToken gave no token', { cause });
    this.#asking ??= guard<string>({ timeoutMs: getTokenTimeoutMs }, failed, (resolve, reject) => {
      const asked = (async () => getToken(why ?? 'initial'))();
      asked.then(resolve, (e) => reject(e instanceof IMError ? e : failed(e)));
    });
    const asking = this.#asking;
    const isCurrent = () => this.#asking === asking; // not that of a user who is gone
    try {
      const token = await asking;
      if (isCurrent()) this.token = token;
      return token;
    } finally {
      if (isCurrent()) this.#asking = undefined;
    }
  }

  forget(): void {
    this.token = this.#asking = undefined;
  }
}
