import { kinds } from '../../credentials/index.ts';
import { pick } from '../../lib/catalog.ts';
import { isJsonObject, type Json } from '../../lib/strict-json.ts';
import { stores } from '../../stores/index.ts';
import type { Config, Entry } from '../config.ts';

/** A secret that lives until somebody changes it and that this deployment itself uses. */
export interface LongLived {
  /** The member of the config, such as `stores.here`. */
  readonly member: string;
  readonly what: string;
}

/**
 * Every long-lived secret that a deployment still holds or reads for its own use: what a cloud's trust in its assertions, a KMS
 * or an ambient identity would take away. What it hands over (`kind: secret`) is not its own and is not counted.
 */
export function longLivedSecrets({ broker, ledger, issuers, stores: entries, credentials }: Config): LongLived[] {
  const found: LongLived[] = [];
  const add = (member: string, ...things: readonly string[]) => found.push(...things.map((what) => ({ member, what })));
  for (const signer of broker.signer) add('broker.signer', ...signerKeys(signer, ledger.kind));
  for (const secret of broker.secret ?? []) add('broker.secret', refText(secret));
  add('ledger', ...refsIn(ledger as unknown as Json));
  for (const [name, entry] of Object.entries(issuers)) add(`issuers.${name}`, ...refsIn(entry));
  for (const [name, entry] of Object.entries(entries)) {
    add(`stores.${name}`, ...(pick(stores, entry.kind).holds?.(entry) ?? []), ...refsIn(entry as unknown as Json));
  }
  for (const [name, entry] of Object.entries(credentials)) {
    const { made, holds } = pick(kinds, entry.kind);
    const used = made === 'read' ? { rotate: entry.rotate } : entry;
    add(`credentials.${name}`, ...(holds?.(entry) ?? refsIn(used as unknown as Json)));
  }
  return found;
}

function signerKeys(signer: Entry, ledger: string): string[] {
  if (signer.kind !== 'local') return [];
  if (typeof signer.path === 'string') return [`the private keys in ${signer.path}`];
  const refs = refsIn(signer as unknown as Json);
  return refs.length > 0 || ledger !== 'durable-object' ? refs : ['the private key that the Durable Object made'];
}

interface RefLike {
  readonly store: string;
  readonly name: string;
}

const refText = ({ store, name }: RefLike): string => `${name} in the store ${store}`;

function refsIn(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap(refsIn);
  if (!isJsonObject(value)) return [];
  const { store, name } = value;
  if (typeof store === 'string' && typeof name === 'string') return [refText({ store, name })];
  return Object.values(value).flatMap(refsIn);
}
