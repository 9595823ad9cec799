import { hmacSha256, toBase64Url, toHex } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import type { KindDeps } from '../kind.ts';
import { scramVerifier } from './scram.ts';

/**
 * A free user of a pool has its next password already, so that a hand-over costs no key stretching here or at the server.
 * It derives from `broker.secret` and a nonce in the user's comment; every hand-over uses its nonce up.
 */
export interface Arming {
  /** What the comment of a user begins with whose password is under this secret. */
  readonly mark: string;
  passwordOf(account: string, nonce: string): string;
  /** A password nobody has had. */
  arm(account: string): Promise<{ readonly verifier: string; readonly comment: string }>;
}

const nonceBytes = 16;

export async function openArming(
  { derive, random }: Pick<KindDeps, 'derive' | 'random'>,
  iterations: number | undefined,
  deadline: Deadline,
): Promise<Arming> {
  const key = await derive('pool', deadline);
  const mark = `hallpass free ${toHex(hmacSha256(key, 'mark')).slice(0, 16)} `;
  const passwordOf = (account: string, nonce: string) => toBase64Url(hmacSha256(key, `${account}/${nonce}`));
  return {
    mark,
    passwordOf,
    async arm(account) {
      const nonce = toHex(random(nonceBytes));
      const verifier = await scramVerifier(passwordOf(account, nonce), random, iterations);
      return { verifier, comment: mark + nonce };
    },
  };
}
