import type { Deadline } from '../../lib/deadline.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import type { AskVault } from './key-vault.ts';

interface SdkRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: { has(name: string): boolean };
  readonly body?: unknown;
}

/** What the Azure SDK's pipeline asks to send a request, as far as Key Vault's client goes. */
export interface VaultTransport {
  sendRequest<R extends SdkRequest>(
    request: R,
  ): Promise<{ request: R; status: number; headers: SdkHeaders; bodyAsText: string }>;
}

interface SdkHeaders extends Iterable<[string, string]> {
  get(name: string): string | undefined;
  has(name: string): boolean;
  set(): void;
  delete(): void;
  toJSON(): Record<string, string>;
}

/** What the SDK holds instead of a token: the token itself is put into a request by `AskVault`, after the SDK. */
export const noCredential = {
  getToken: async () => ({ token: 'unused', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }),
};

/**
 * One operation's way out: of what the SDK built, the method, the URL and the body are sent, and none of its headers. Its
 * client begins with a request without a token, to be told by the vault which token is wanted; that one is answered here, so
 * that nothing a vault says decides for whom a token is. A refusal is thrown as an UpstreamError, past the SDK.
 */
export function vaultTransport(ask: AskVault, resource: string, step: string, deadline: Deadline): VaultTransport {
  return {
    async sendRequest(request) {
      if (!request.headers.has('authorization')) {
        const headers = sdkHeaders('www-authenticate', `Bearer resource="${resource}"`);
        return { request, status: 401, headers, bodyAsText: '{}' };
      }
      const { method, url, body } = request;
      if (body !== undefined && body !== null && typeof body !== 'string')
        throw new UpstreamError('invalid', { step, reason: 'not_text' });
      const answer = await ask({ step, method, url, body: body ?? undefined }, deadline);
      const headers = sdkHeaders('content-type', 'application/json');
      return { request, status: 200, headers, bodyAsText: JSON.stringify(answer) };
    },
  };
}

/** Headers as the SDK wants them, of one member: that is all it is told. */
function sdkHeaders(name: string, value: string): SdkHeaders {
  const all: [string, string][] = [[name, value]];
  return {
    get: (asked) => (asked.toLowerCase() === name ? value : undefined),
    has: (asked) => asked.toLowerCase() === name,
    set() {},
    delete() {},
    toJSON: () => Object.fromEntries(all),
    [Symbol.iterator]: () => all[Symbol.iterator](),
  };
}
