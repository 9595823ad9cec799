import { kinds } from '../credentials/index.ts';
import { pick } from '../lib/catalog.ts';
import type { AssertionTerms } from '../sessions/session.ts';
import { sinks } from '../sinks/index.ts';
import { stores } from '../stores/index.ts';
import type { Config } from './config.ts';
import type { Mintable, Mintables } from './ledger-side.ts';
import type { Parts } from './parts.ts';

/** What a sink is called where it logs in, among stores, of which none has such a name. */
export const sinkLogin = (name: string): string => `sinks/${name}`;

/** What the ledger's side may have signed, of its own config. */
export async function openMintables(config: Config, parts: Parts): Promise<Mintables> {
  const sessions = new Map<string, AssertionTerms>();
  for (const [name, entry] of Object.entries(config.stores)) {
    const terms = pick(stores, entry.kind).assertion?.(entry);
    if (terms !== undefined) sessions.set(name, terms);
  }
  for (const [name, entry] of Object.entries(config.sinks)) {
    const terms = pick(sinks, entry.kind).assertion?.(entry);
    if (terms !== undefined) sessions.set(sinkLogin(name), terms);
  }
  const logins = new Map<string, AssertionTerms>();
  for (const [name, entry] of Object.entries(config.credentials)) {
    const terms = pick(kinds, entry.kind).assertion?.(entry);
    if (terms !== undefined) logins.set(name, terms);
  }
  return { issuer: config.broker.url, credentials: await openSigned(parts), sessions, logins };
}

async function openSigned({ credentials }: Parts): Promise<ReadonlyMap<string, Mintable>> {
  const signed = new Map<string, Mintable>();
  for (const { name, kind, open } of credentials.values()) {
    const credential = pick(kinds, kind).made === 'signed' ? await open() : undefined;
    if (credential?.made === 'signed') signed.set(name, { kind, credential });
  }
  return signed;
}
