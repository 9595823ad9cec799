import { pick } from '../lib/catalog.ts';
import type { Deadline } from '../lib/deadline.ts';
import { deriveCheckpointSeed, deriveWorkloadsKey } from './derive.ts';
import { signers } from './index.ts';
import type { KeyRing } from './keys.ts';
import { KeyError } from './private-key.ts';
import { maxKeys } from './rotation-times.ts';
import type { Signer, SignerDeps, SignerKey } from './signer.ts';

export interface KeyRingOptions {
  /** `broker.signer`, checked: one or a list. */
  readonly signer: SignerEntry | readonly SignerEntry[];
  /** `ledger.seed`, 32 bytes, from which the checkpoint and `workloads` keys come instead of the signer's key. */
  readonly seed?: Uint8Array | undefined;
  /** The ledger is elsewhere: no `workloads` key and no checkpoint seed are derived at all. */
  readonly ledgerElsewhere?: boolean;
}

export interface SignerEntry {
  readonly kind: string;
}

/** The keys as they were when it was opened, and what they come from. */
export interface OpenRing extends KeyRing {
  readonly assertions: readonly SignerKey[];
  /** Asks every signer again; keys that were there are the same objects. @throws as openKeyRing */
  reopen(deadline: Deadline): Promise<readonly SignerKey[]>;
  /** Lets go of a key whose last token died, where it is Hallpass's to. */
  forget(kid: string): Promise<void>;
}

/** Opens the signers of a config, none of which does any I/O before it is asked for its keys. @throws KeyError */
export async function openSigners(
  signer: KeyRingOptions['signer'],
  deps: SignerDeps,
): Promise<readonly { readonly entry: SignerEntry; readonly signer: Signer }[]> {
  const entries = [signer].flat() as readonly SignerEntry[];
  return Promise.all(
    entries.map(async (entry) => ({ entry, signer: (await pick(signers, entry.kind).load()).open(entry, deps) })),
  );
}

/**
 * Opens the signers of a config and derives what comes from them; of several signers the first whose private part is at
 * hand is derived from, and of its keys the oldest.
 *
 * @throws KeyError for a key that is no good, none to derive from or too many; Refusal when a REF or a KMS cannot be read
 */
export async function openKeyRing(options: KeyRingOptions, deps: SignerDeps, deadline: Deadline): Promise<OpenRing> {
  const opened = [...(await openSigners(options.signer, { ...deps, needs: [] }))];

  async function reopen(until: Deadline): Promise<readonly (readonly SignerKey[])[]> {
    const keys: (readonly SignerKey[])[] = [];
    for (const { signer } of opened) keys.push(await signer.keys(until));
    return keys;
  }

  const checked = (keys: readonly (readonly SignerKey[])[]): readonly SignerKey[] => {
    check(keys.flat(), deps.needs);
    return keys.flat();
  };

  const there = await reopen(deadline);
  const missing = missingIn(there.flat(), deps.needs);
  for (const [at, { entry }] of missing.length === 0 ? [] : opened.entries()) {
    // The first signer that makes keys makes what no other has.
    const [again] = await openSigners(entry, { ...deps, needs: missing });
    if (again === undefined || missingIn(await again.signer.keys(deadline), missing).length > 0) continue;
    opened[at] = again;
    break;
  }
  const perSigner = missing.length === 0 ? there : await reopen(deadline);
  const assertions = checked(perSigner);
  const secret = inputOf(perSigner);
  const ring = {
    assertions,
    published: assertions.map(({ publicJwk }) => publicJwk),
    reopen: async (until: Deadline) => checked(await reopen(until)),
    async forget(kid: string) {
      for (const { signer } of opened) await signer.forget?.(kid);
    },
    ...(secret === undefined ? {} : { secret }),
  };
  if (options.ledgerElsewhere === true) return ring;
  const input = options.seed ?? secret;
  if (input === undefined) throw new KeyError('beside a signer that keeps its key, ledger.seed is required');
  if (options.seed !== undefined && options.seed.length !== 32) throw new KeyError('ledger.seed is not 32 bytes');
  return { ...ring, workloads: deriveWorkloadsKey(input), checkpointSeed: deriveCheckpointSeed(input) };
}

const missingIn = (keys: readonly SignerKey[], needs: SignerDeps['needs'] = []) =>
  needs.filter((alg) => !keys.some((key) => key.alg === alg));

function check(keys: readonly SignerKey[], needs: SignerDeps['needs']): void {
  if (keys.length > maxKeys)
    throw new KeyError(`broker.signer has ${keys.length} keys, and a JWKS of ours holds ${maxKeys}: disable old ones`);
  const [missing] = missingIn(keys, needs);
  if (missing !== undefined)
    throw new KeyError(`a store takes ${missing} only, and no signer has such a key: add one, for RS256 an RSA key`);
}

/** The next key must not change what is derived: the oldest of the first key's own algorithm stays the input. */
function inputOf(perSigner: readonly (readonly SignerKey[])[]): Uint8Array | undefined {
  const keys = perSigner.find((some) => some.some(({ input }) => input !== undefined)) ?? [];
  return keys.findLast(({ alg, input }) => input !== undefined && alg === keys[0]?.alg)?.input;
}
