import { pick } from '../lib/catalog.ts';
import type { Deadline } from '../lib/deadline.ts';
import { deriveCheckpointSeed, deriveWorkloadsKey } from './derive.ts';
import { signers } from './index.ts';
import type { KeyRing } from './keys.ts';
import { KeyError } from './private-key.ts';
import type { SignerDeps, SignerKey } from './signer.ts';

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

/**
 * Opens the signers of a config and derives what comes from them; of several signers the first whose private part is at
 * hand is derived from.
 *
 * @throws KeyError for a key that is no good, or none to derive from; Refusal when a REF cannot be read
 */
export async function openKeyRing(options: KeyRingOptions, deps: SignerDeps, deadline: Deadline): Promise<KeyRing> {
  const entries = [options.signer].flat() as readonly SignerEntry[];
  const assertions: SignerKey[] = [];
  for (const entry of entries) {
    const signer = await pick(signers, entry.kind).load();
    assertions.push(...(await signer.open(entry, deps, deadline)));
  }
  const secret = assertions.find(({ input }) => input !== undefined)?.input;
  const ring = { assertions, ...(secret === undefined ? {} : { secret }) };
  if (options.ledgerElsewhere === true) return ring;
  const input = options.seed ?? secret;
  if (input === undefined) throw new KeyError('beside a signer that keeps its key, ledger.seed is required');
  if (options.seed !== undefined && options.seed.length !== 32) throw new KeyError('ledger.seed is not 32 bytes');
  return { ...ring, workloads: deriveWorkloadsKey(input), checkpointSeed: deriveCheckpointSeed(input) };
}
