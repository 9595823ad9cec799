import { type Deadline, deadlineIn } from '../lib/deadline.ts';
import { thumbprint } from '../lib/thumbprint.ts';
import type { Kms, KmsVersion } from './kms.ts';
import { asked } from './kms-fault.ts';
import { KeyError } from './private-key.ts';
import type { Signer, SignerDeps, SignerKey } from './signer.ts';

/** Asked how its versions stand no more often than this, milliseconds: the calls must not grow with anything. */
const versionsMs = 5 * 60_000;
/** Between two looks for a version that the KMS is still making (Google's are generated after the answer), milliseconds. */
const pollMs = 1_000;
/** A signature that nobody set an end for, milliseconds. */
const signMs = 5_000;

/** The keys of a KMS, which signs each assertion itself. */
export function openDirect(kms: Kms, { now }: Pick<SignerDeps, 'now'>): Signer {
  let known: readonly SignerKey[] = [];
  let askedAt = Number.NEGATIVE_INFINITY;

  function keyOf(version: KmsVersion): SignerKey {
    const { alg, publicJwk } = version;
    const kid = thumbprint(publicJwk);
    return {
      kid,
      alg,
      publicJwk: { ...publicJwk, kid, alg, use: 'sig' },
      sign: (data, deadline = deadlineIn(signMs, now)) => asked(kms.sign(version, data, deadline)),
    };
  }

  async function keys(deadline: Deadline): Promise<readonly SignerKey[]> {
    if (Math.abs(now() - askedAt) < versionsMs) return known;
    const versions = await asked(kms.versions(deadline));
    if (versions.length === 0) throw new KeyError('the key of the KMS has no version that may sign');
    const fresh = versions.map(keyOf);
    known = fresh.map((key) => known.find(({ kid }) => kid === key.kid) ?? key);
    askedAt = now();
    return known;
  }

  return {
    keys,
    ...(kms.rotate && {
      async rotate(deadline) {
        const before = known;
        await asked(kms.rotate?.(deadline) ?? Promise.resolve());
        for (;;) {
          askedAt = Number.NEGATIVE_INFINITY;
          if ((await keys(deadline)).some((key) => !before.includes(key)) || deadline.left() <= pollMs) return;
          await new Promise((resolve) => setTimeout(resolve, pollMs));
        }
      },
    }),
  };
}
