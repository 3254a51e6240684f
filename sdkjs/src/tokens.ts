import { IMError } from './errors.js';
import { guard } from './wait.js';

/** Why a new token is wanted. */
export type TokenReason = 'initial' | 'expired' | 'rejected';

/** How long an application may take to find a token. */
const getTokenTimeoutMs = 30_000;

/** Where the session's token comes from. Without a token the host's cookie counts. @internal */
export class Tokens {
  #token: string | undefined;

  constructor(
    userToken: string | undefined,
    private readonly getToken: ((why: TokenReason) => Promise<string>) | undefined,
  ) {
    this.#token = userToken;
  }

  /** The application can be asked for one. */
  get givenByApp(): boolean {
    return this.getToken !== undefined;
  }

  /** Another attempt may have a better one: the application's, or the cookie of then. */
  get renewable(): boolean {
    return this.givenByApp || this.#token === undefined;
  }

  /** The token to open a session with. */
  current(): Promise<string | undefined> {
    if (this.#token !== undefined || !this.getToken) return Promise.resolve(this.#token);
    return this.renew('initial');
  }

  /** A new token, from the application. */
  async renew(why: TokenReason): Promise<string | undefined> {
    const { getToken } = this;
    if (!getToken) return undefined;
    const late = () => new IMError('timeout', 'getToken gave no token in time');
    this.#token = await guard<string>({ timeoutMs: getTokenTimeoutMs }, late, (resolve, reject) => {
      new Promise<string>((done) => done(getToken(why))).then(resolve, (cause: unknown) => {
        reject(cause instanceof IMError ? cause : new IMError('unavailable', 'getToken failed', { cause }));
      });
    });
    return this.#token;
  }

  forget(): void {
    this.#token = undefined;
  }
}
