import type { Deadline } from '../../lib/deadline.ts';
import type { Mint } from '../../lib/mint.ts';
import type { Disclosed, LedgerRecord, RecordType } from './record.ts';

/** Who appends, verified. `types` and `mint` bound what it may write and have signed. */
export interface WriterRights {
  /** Must equal every record's `writer.name`. */
  readonly name: string;
  readonly types: ReadonlySet<RecordType>;
  /** Names of credentials and stores it may have signed; `all` for the deployment's own broker. */
  readonly mint: readonly string[] | 'all';
}

/** Given to the log by config/build; the log knows no kinds. */
export interface Minter {
  /** Before the append is planned. @throws Refusal denied when this writer may not have this signed */
  check(record: LedgerRecord, disclosed: Disclosed, writer: WriterRights): void;
  /** After the commit, before the answer. @throws Refusal ledger_unavailable when a KMS did not sign */
  sign(mint: Mint, record: LedgerRecord, deadline: Deadline): Promise<string>;
}

/** What `ledger: append` lets a writer write. */
export const brokerTypes: ReadonlySet<RecordType> = new Set<RecordType>([
  'intent',
  'issuance',
  'failure',
  'denial',
  'revocation',
  'renewal',
  'session',
  'key',
  'rotation',
  'store-write',
  'read',
  'summary',
]);

/** What the deployment's own broker may write: everything but what the log writes by itself. */
export const ownRights = (name: string): WriterRights => ({
  name,
  types: new Set<RecordType>([...brokerTypes, 'lockdown', 'erasure', 'sign-in']),
  mint: 'all',
});
