import type { ConfiguredCredential } from '../credentials/kind.ts';
import { type Ledger, pendingPage } from '../ledger/ledger.ts';
import { type LedgerRecord, parseRecord } from '../ledger/records/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Metrics } from '../lib/metrics.ts';
import { instant, parseInstant } from '../lib/time.ts';
import type { BackOff } from './back-off.ts';
import type { DueSearch } from './due.ts';
import { aboutOf, configuredFor } from './ending.ts';
import { inParallel } from './in-parallel.ts';
import { readStory } from './story.ts';

export interface UnrevokedLease {
  readonly id: string;
  readonly credential: string;
  readonly kind: string;
  readonly account?: string | undefined;
  readonly expiresAt: string;
  /** Why it was to end: `requested`, `ordered`, `expired`, `abandoned`. */
  readonly reason: string;
  readonly since: string;
  /** The last attempt of this process. */
  readonly failed?: { readonly reason: string; readonly at: string; readonly tries: number };
}

export interface UnrevokedDeps {
  readonly ledger: Pick<Ledger, 'issuance' | 'pending'>;
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly limits: { readonly ledgerMs: number };
  readonly metrics: Pick<Metrics, 'set'>;
}

/** Shown at the same time. */
const atOnce = 8;

/** The leases that ended and are not known to be gone. Rejects with Refusal ledger_unavailable. */
export function openUnrevoked(
  { ledger, credentials, limits, metrics }: UnrevokedDeps,
  { unrevoked, isOurs, writer }: Pick<DueSearch, 'unrevoked' | 'isOurs' | 'writer'>,
  backOff: Pick<BackOff, 'get'>,
) {
  const gauged = new Set<string>();

  /** Those that share what was made and ended before their time are no debt, nor is what no target knows of. */
  async function isDebt(record: LedgerRecord): Promise<boolean> {
    if (record.lease?.revocable === true) return true;
    const opened = configuredFor(record, credentials.get(record.credential ?? ''))?.open();
    const credential = await opened?.catch(() => undefined);
    return credential === undefined || (credential.made === 'read' && credential.end !== undefined);
  }

  async function show(record: LedgerRecord, deadline: Deadline): Promise<UnrevokedLease> {
    const { issuance: id, credential = '', kind = '' } = aboutOf(record);
    const story = await ledger.issuance(id, deadline.within(limits.ledgerMs), writer);
    const records = story.map((entry) => parseRecord(entry.record));
    const first = records.find(({ type }) => type === 'failure' || type === 'revocation') ?? record;
    const attempt = backOff.get(id);
    return {
      id,
      credential,
      kind,
      account: record.lease?.account,
      expiresAt: instant(readStory(id, story)?.expiresAt ?? parseInstant(record.lease?.expiresAt ?? '') ?? 0),
      // Where nobody asked for it, its time was over.
      reason: first.reason === 'unrevoked' ? 'expired' : (first.reason ?? 'requested'),
      since: first.time,
      ...(attempt && { failed: { reason: attempt.reason, at: instant(attempt.at), tries: attempt.tries } }),
    };
  }

  return {
    /** Whether there were any since this process began. */
    get known() {
      return gauged.size > 0;
    },

    /** Counts them, for the metrics too. */
    async count(deadline: Deadline): Promise<number> {
      const counts = new Map<string, number>([...gauged].map((credential) => [credential, 0]));
      let all = 0;
      const { records, whole } = await unrevoked(deadline);
      for (const record of records) {
        if (!(await isDebt(record))) continue;
        const { credential = '' } = record;
        counts.set(credential, (counts.get(credential) ?? 0) + 1);
        all++;
      }
      for (const [credential, count] of counts) {
        gauged.add(credential);
        // Of what there was no time to count the gauge tells what it told.
        if (whole) metrics.set('hallpass_leases_unrevoked', { credential }, count);
      }
      return all;
    },

    /** A page of them. `next`: more come after that index. */
    async list(deadline: Deadline, after = -1) {
      const page = await ledger.pending('unrevoked', deadline.within(limits.ledgerMs), { writer, after });
      const items: UnrevokedLease[] = [];
      await inParallel(page, atOnce, async ({ record: text }) => {
        const record = parseRecord(text);
        if (isOurs(record) && (await isDebt(record))) items.push(await show(record, deadline));
      });
      items.sort((one, other) => (one.id < other.id ? -1 : 1));
      return { items, next: page.length < pendingPage ? undefined : page.at(-1)?.index };
    },
  };
}
