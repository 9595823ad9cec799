import { randomBytes } from 'node:crypto';
import type { AppendRequest } from '../../src/ledger/ledger.ts';
import { disclose } from '../../src/ledger/records/disclosure.ts';
import {
  type Disclosed,
  type LedgerRecord,
  type RecordText,
  type RecordType,
  recordText,
} from '../../src/ledger/records/record.ts';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import { instantMs } from '../../src/lib/time.ts';
import { newUlid } from '../../src/lib/ulid.ts';

export const random = (bytes: number): Uint8Array => randomBytes(bytes);
export const writer = { name: 'https://pass.example.com', instance: 'node-1', version: '0.1.0' };
export const otherWriter = { name: 'https://other.example.com', instance: 'node-2', version: '0.1.0' };
export const policyHash = `sha256:${'p'.repeat(43)}`;
export const digest = (letter: string): string => letter.repeat(43);
export const soon = (ms = 20_000): Deadline => deadlineIn(ms, Date.now);

export interface Clock {
  at: number;
  now(): number;
}

/** A clock that only moves when told. */
export const clockAt = (at = Date.UTC(2026, 10, 22, 12)): Clock => ({
  at,
  now() {
    return this.at;
  },
});

const disclosed: Disclosed = { name: 'shop:checkout', iss: 'https://issuer.example', subject: 'checkout' };

/** Writes records as a broker does. */
export function scribe(clock: Clock, by = writer) {
  const id = () => newUlid(clock.at, random);

  function write(type: RecordType, facts: Partial<LedgerRecord>, about: Disclosed | null = disclosed): RecordText {
    const stub = { v: 1, type, id: id(), time: instantMs(clock.at), writer: by } as const;
    if (about === null) return { record: recordText({ ...stub, ...facts }), disclosure: null };
    const { disclosure, who } = disclose(about, random);
    return { record: recordText({ ...stub, identity: { issuer: 'shop', who }, ...facts }), disclosure };
  }

  const about = { credential: 'orders-db', kind: 'postgres', grant: 'checkout', policy: policyHash };
  const lease = (ttl = 600) => ({
    expiresAt: instantMs(clock.at + ttl * 1000),
    ttl,
    account: 'hp_account',
    revocable: true,
  });
  return {
    id,
    write,
    intent: (issuance: string, facts: Partial<LedgerRecord> = {}) =>
      write('intent', { ...about, epoch: 0, issuance, lease: lease(), ...facts }),
    issuance: (issuance: string, facts: Partial<LedgerRecord> = {}, more: Disclosed = {}) =>
      write('issuance', { ...about, epoch: 0, id: issuance, lease: lease(), ...facts }, { ...disclosed, ...more }),
    failure: (issuance: string, facts: Partial<LedgerRecord> = {}) =>
      write('failure', { ...about, epoch: 0, issuance, reason: 'store_failed', ...facts }),
    revocation: (issuance: string, facts: Partial<LedgerRecord> = {}) =>
      write('revocation', { ...about, epoch: 0, issuance, reason: 'requested', ...facts }),
    denial: (facts: Partial<LedgerRecord> = {}) =>
      write('denial', { epoch: 0, policy: policyHash, reason: 'no_grant', count: 1, ...facts }),
    lockdown: (op: 'add' | 'lift', target: string, epoch: number, match = {}, facts: Partial<LedgerRecord> = {}) =>
      write('lockdown', { op, target, epoch, reason: 'incident', ...facts }, { match }),
    mint: (issuance: string) => ({
      use: 'jwt' as const,
      alg: 'ES256',
      claims: { sub: 'shop:checkout', aud: 'https://api.partner.example', jti: issuance },
    }),
  };
}

export const asking = (...entries: RecordText[]): AppendRequest => ({ entries, epoch: 0, policy: policyHash });
