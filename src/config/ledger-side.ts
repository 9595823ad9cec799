import type { MintFacts, SignedCredential } from '../credentials/kind.ts';
import { signJwt } from '../keys/jwt.ts';
import type { KeyRing } from '../keys/keys.ts';
import type { KeyRecord, LogSecrets } from '../ledger/driver.ts';
import type { PublicKeys } from '../ledger/ledger.ts';
import type { Disclosed, LedgerRecord } from '../ledger/record.ts';
import type { Minter, WriterRights } from '../ledger/writer.ts';
import { Refusal } from '../lib/refusal.ts';
import { parseInstant } from '../lib/time.ts';

/** A credential of the ledger's own config that something is signed for. */
export interface Mintable {
  readonly kind: string;
  readonly credential: SignedCredential;
}

/**
 * What the ledger's side holds and a broker at the edge does not: the checkpoint key and the minter. The minter signs
 * for credentials of this config only, what they themselves would have signed, and only for writers whose role lists them.
 */
export function ledgerSecrets(ring: KeyRing, credentials: ReadonlyMap<string, Mintable>): LogSecrets {
  const { workloads, checkpointSeed } = ring;
  if (workloads === undefined || checkpointSeed === undefined) throw new Error('no keys for a ledger here');
  const minter: Minter = {
    check(record, disclosed, writer) {
      const { mint } = disclosed;
      if (mint === undefined) return;
      mintable(record, writer, credentials).check(mint, factsOf(record, disclosed));
    },
    async sign({ use, claims }) {
      if (use !== 'jwt' || claims === undefined) throw new Error(`nothing signs ${use} here`);
      return signJwt(workloads, claims);
    },
  };
  return { checkpointKey: checkpointSeed, minter, keyRecords: keyRecords(ring), keys: publicKeys(ring) };
}

export function publicKeys({ assertions, workloads }: KeyRing): PublicKeys {
  const published = assertions.map(({ publicJwk }) => publicJwk);
  return workloads === undefined
    ? { assertions: published }
    : { assertions: published, workloads: [workloads.publicJwk] };
}

function keyRecords({ assertions, workloads }: KeyRing): KeyRecord[] {
  const records = assertions.map(({ kid, publicJwk: jwk }) => ({ purpose: 'assertions', kid, jwk }));
  return workloads === undefined
    ? records
    : [...records, { purpose: 'workloads', kid: workloads.kid, jwk: workloads.publicJwk }];
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
