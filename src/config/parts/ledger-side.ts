import type { MintFacts, SignedCredential } from '../../credentials/kind.ts';
import { signJwt } from '../../keys/jwt.ts';
import type { KeyRing } from '../../keys/keys.ts';
import type { LiveRing } from '../../keys/live-ring.ts';
import type { LogSecrets } from '../../ledger/drivers/driver.ts';
import type { KeyRecord, PublicKeys } from '../../ledger/ledger.ts';
import type { Disclosed, LedgerRecord } from '../../ledger/records/record.ts';
import type { Minter, WriterRights } from '../../ledger/records/writer.ts';
import type { Mint } from '../../lib/mint.ts';
import { Refusal } from '../../lib/refusal.ts';
import { parseInstant } from '../../lib/time.ts';
import { checkAssertion } from '../../sessions/assertion.ts';
import type { AssertionTerms } from '../../sessions/session.ts';
import { recordOf } from './key-log.ts';

/** A credential of the ledger's own config that something is signed for. */
export interface Mintable {
  readonly kind: string;
  readonly credential: SignedCredential;
}

/** What this ledger may have signed: for credentials, and for logging in to stores, of its own config. */
export interface Mintables {
  /** `broker.url`: who signs. */
  readonly issuer: string;
  readonly credentials: ReadonlyMap<string, Mintable>;
  readonly sessions: ReadonlyMap<string, AssertionTerms>;
  /** The same for credentials that log in by themselves. */
  readonly logins: ReadonlyMap<string, AssertionTerms>;
}

/**
 * What the ledger's side holds and a broker at the edge does not: the checkpoint key and the minter. The minter signs
 * for credentials of this config only, what they themselves would have signed, and only for writers whose role lists them.
 */
export function ledgerSecrets(ring: LiveRing, mintables: Mintables): LogSecrets {
  const { workloads, checkpointSeed } = ring;
  if (workloads === undefined || checkpointSeed === undefined) throw new Error('no keys for a ledger here');
  const minter: Minter = {
    check(record, disclosed, writer) {
      const { mint } = disclosed;
      if (mint === undefined) return;
      if (mint.use === 'session') return checkSession(record, mint, writer, mintables, ring);
      mintable(record, writer, mintables.credentials).check(mint, factsOf(record, disclosed));
    },
    async sign(mint, record, deadline) {
      const { use, alg, claims } = mint;
      const { credential } = mintables.credentials.get(record.credential ?? '') ?? {};
      if (use !== 'session' && credential?.sign !== undefined) return credential.sign(mint, deadline);
      if (claims === undefined) throw new Error(`nothing signs ${use} here`);
      if (use === 'jwt') return signJwt(workloads, claims, deadline);
      // Where nothing runs between requests, a session is what first needs the newest key.
      await ring.renew(deadline);
      const key = use === 'session' ? keyFor(ring, alg) : undefined;
      if (key === undefined) throw new Error(`nothing signs ${use} here`);
      return signJwt(key, claims, deadline);
    },
  };
  return { checkpointKey: checkpointSeed, minter, keyRecords: () => keyRecords(ring), keys: publicKeys(ring) };
}

export function publicKeys({ published, workloads }: KeyRing): PublicKeys {
  return workloads === undefined
    ? { assertions: published }
    : { assertions: published, workloads: [workloads.publicJwk] };
}

function keyRecords({ unrecorded, workloads }: LiveRing): KeyRecord[] {
  const records = unrecorded.map(recordOf);
  return workloads === undefined
    ? records
    : [...records, { purpose: 'workloads', kid: workloads.kid, jwk: workloads.publicJwk }];
}

const keyFor = ({ assertions }: KeyRing, alg: string) => assertions.find((key) => key.alg === alg);

/** A session with a store, or at the target of a credential, of this config, by a writer whose role lists it, exactly as this config would have it. */
function checkSession(
  record: LedgerRecord,
  mint: Mint,
  writer: WriterRights,
  { issuer, sessions, logins }: Mintables,
  ring: KeyRing,
): void {
  const name = record.store ?? record.credential ?? '';
  const listed = writer.mint === 'all' || writer.mint.includes(name);
  const known = record.store === undefined ? logins : sessions;
  const terms = listed && record.type === 'session' ? known.get(name) : undefined;
  const time = parseInstant(record.time);
  if (terms === undefined || time === undefined || record.audience !== terms.audience)
    throw new Refusal('denied', 'mint_not_allowed', { facts: { store: name } });
  if (keyFor(ring, mint.alg) === undefined) throw new Refusal('denied', 'mint_alg', { facts: { store: name } });
  const { id: session, issuance } = record;
  checkAssertion(mint, terms, { issuer, store: name, issuance, writer: record.writer.name, session, time });
}

function mintable(
  record: LedgerRecord,
  writer: WriterRights,
  credentials: ReadonlyMap<string, Mintable>,
): SignedCredential {
  const name = record.credential ?? '';
  const listed = writer.mint === 'all' || writer.mint.includes(name);
  const mintable = listed && record.type === 'issuance' ? credentials.get(name) : undefined;
  if (mintable === undefined || mintable.kind !== record.kind)
    throw new Refusal('denied', 'mint_not_allowed', { facts: { credential: name } });
  return mintable.credential;
}

function factsOf(record: LedgerRecord, disclosed: Disclosed): MintFacts {
  const { lease, identity, credential } = record;
  const time = parseInstant(record.time);
  const { iss, subject, name, claims } = disclosed;
  if (
    lease === undefined ||
    identity === undefined ||
    credential === undefined ||
    time === undefined ||
    iss === undefined ||
    subject === undefined
  )
    throw new Refusal('denied', 'mint_incomplete');
  return {
    issuance: record.id,
    credential,
    time,
    lease,
    identity: { issuer: identity.issuer, iss, subject, name: name ?? '', claims: claims ?? {} },
  };
}
