import type { Deadline } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import { instant, parseInstant } from '../lib/time.ts';
import type { SigningAlgorithm } from './keys.ts';
import type { Kms } from './kms.ts';
import type { KmsSignerConfig } from './kms-signer.ts';
import { newKeyFor, type PrivateKey, parsePrivateKey } from './private-key.ts';
import { refuseYoung, rotatingStill } from './rotation-times.ts';
import { type MadeKey, sealKeys, unsealKeys } from './sealed-keys.ts';
import { placeOf } from './sealed-place.ts';
import type { Signer, SignerDeps } from './signer.ts';

/** Keys that a KMS sealed: one call to it per start, and per rotation of the keys. */
export function openWrapped(config: KmsSignerConfig, kms: Kms, deps: SignerDeps): Signer {
  const { now, random, needs = [], announceMs } = deps;
  const place = placeOf(config, deps);
  const owner = { kind: config.kind, key: config.wrap ?? config.key };
  let opened: { readonly text: string; readonly made: readonly MadeKey[]; readonly keys: readonly PrivateKey[] };

  const seal = (keys: readonly MadeKey[], deadline: Deadline) => sealKeys(keys, owner, kms, random, deadline);
  const newKey = async (alg: SigningAlgorithm): Promise<MadeKey> => ({
    pem: await newKeyFor(alg),
    made: instant(now()),
  });

  async function open(deadline: Deadline): Promise<typeof opened> {
    const text = (await place.read(deadline)) ?? (await make(deadline));
    if (opened?.text === text) return opened;
    const made = await unsealKeys(text, owner, kms, deadline);
    const keys = made.map(({ pem }) => parsePrivateKey(pem));
    const missing = needs.filter((alg) => !keys.some((key) => key.alg === alg));
    if (missing.length > 0 && place.startWrites) {
      const more = await seal([...made, ...(await Promise.all(missing.map(newKey)))], deadline);
      await place.write(more, text, deadline);
      return open(deadline);
    }
    const known = opened?.keys ?? [];
    opened = { text, made, keys: keys.map((key) => known.find(({ kid }) => kid === key.kid) ?? key) };
    return opened;
  }

  /** The first start; of two processes one wins and both use its keys. */
  async function make(deadline: Deadline): Promise<string> {
    const text = await seal(await Promise.all(['ES256' as const, ...needs].map(newKey)), deadline);
    return place.write(text, undefined, deadline);
  }

  return {
    keys: async (deadline) => (await open(deadline)).keys,
    async rotate(deadline) {
      const there = await place.read(deadline).catch((error) => {
        if (error instanceof Refusal && error.reason === 'absent') return undefined;
        throw error;
      });
      if (there === undefined) {
        await make(deadline);
        return;
      }
      const { text, made, keys } = await open(deadline);
      const next: MadeKey[] = [];
      for (const alg of ['ES256', 'RS256'] as const) {
        const [newest, older] = made.filter((_, at) => keys[at]?.alg === alg);
        if (newest === undefined) {
          if (needs.includes(alg)) next.push(await newKey(alg));
          continue;
        }
        if (older !== undefined) refuseYoung(now() - (parseInstant(newest.made) ?? 0), announceMs);
        next.push(await newKey(alg), newest);
      }
      if ((await place.write(await seal(next, deadline), text, deadline)) === text)
        throw rotatingStill('somebody else was faster');
    },
  };
}
