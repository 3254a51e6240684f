import { IMError } from './errors.js';
import { guard } from './wait.js';

/** Why a new token is wanted. */
export type TokenReason = 'initial' | 'expired' | 'rejected';

/** How long an application may take to find a token. */
const getTokenTimeoutMs = 30_000;

/** Where the session's token comes from. Without a token the host's cookie counts. @internal */
export class Tokens {
  constructor(
    private token: string | undefined,
    /** Asks the application, if it can be asked. */
    readonly getToken?: (why: TokenReason) => Promise<string>,
  ) {}

  /** Another attempt may have a better one: the application's, or the cookie of then. */
  get renewable(): boolean {
    return !!this.getToken || !this.token;
  }

  /** The token to open a session with; a new one where there is a reason. */
  async get(why?: TokenReason): Promise<string | undefined> {
    const { getToken } = this;
    if (getToken && (why || !this.token)) {
      const failed = (cause?: unknown) => new IMError('unavailable', 'getToken gave no token', { cause });
      this.token = await guard<string>({ timeoutMs: getTokenTimeoutMs }, failed, (resolve, reject) => {
        const asked = (async () => getToken(why ?? 'initial'))();
        asked.then(resolve, (e) => reject(e instanceof IMError ? e : failed(e)));
      });
    }
    return this.token;
  }

  forget(): void {
    this.token = undefined;
  }
}
