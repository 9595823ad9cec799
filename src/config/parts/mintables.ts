import type { AssertFor } from '../../broker/assertions.ts';
import { kinds } from '../../credentials/index.ts';
import { pick } from '../../lib/catalog.ts';
import type { AssertionTerms, SessionDeps } from '../../sessions/session.ts';
import { sinks } from '../../sinks/index.ts';
import { stores } from '../../stores/index.ts';
import type { Config } from '../config.ts';
import type { Mintable, Mintables } from './ledger-side.ts';
import type { Parts } from './parts.ts';

/** What a sink is called where it logs in, among stores, of which none has such a name. */
export const sinkLogin = (name: string): string => `sinks/${name}`;

/** What the archive of closed logs is called where it logs in. */
const archiveLogin = 'ledger/archive';

/** How Hallpass proves itself to the cloud that `ledger.archive` lies in; undefined: it does not. */
const archiveTerms = ({ archive }: Config['ledger']): AssertionTerms | undefined =>
  archive === undefined ? undefined : pick(sinks, 's3').assertion?.(archive);

/** What proves us there, recorded as a session like any other. */
export function archiveAssert(ledger: Config['ledger'], assertFor: AssertFor): SessionDeps['assert'] {
  const terms = archiveTerms(ledger);
  return terms && ((deadline) => assertFor({ store: archiveLogin }, terms, deadline));
}

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
  const archive = archiveTerms(config.ledger);
  if (archive !== undefined) sessions.set(archiveLogin, archive);
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
