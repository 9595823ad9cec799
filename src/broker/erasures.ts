import { type Subject, subjectOf } from '../ledger/erasure/book.ts';
import { type Disclosing, isAbout, isNamedIn, type Kept, keptReasons, openJudge } from '../ledger/erasure/erasable.ts';
import { type Erasing, eraseAt, erasingOf, findErasable, settleErased } from '../ledger/erasure/erasing.ts';
import { type RetentionRules, retentionRules } from '../ledger/erasure/retain.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { sha256Url } from '../lib/bytes.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Identity } from '../lib/identity.ts';
import { Refusal } from '../lib/refusal.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import { instant } from '../lib/time.ts';
import { codeOf, refuseStale } from './append.ts';
import { type Call, causeOf } from './call.ts';
import type { Gate, GateDeps } from './gate.ts';

/** The body of POST /v1/erasures, checked. */
export interface ErasureAsked {
  /** The data subject, by `identity.name`; `*` as in queries. */
  readonly identity: string;
  readonly issuer?: string | undefined;
  /** Only records before this time, milliseconds. */
  readonly before?: number | undefined;
  /** Why, in the words of who asks for it. */
  readonly reason: string;
  readonly dryRun?: boolean | undefined;
  /** Where an earlier call of the same run ended. */
  readonly place?: ErasurePlace | undefined;
}

/** How far a run has come: in which log of the ledger, and to which position. */
export interface ErasurePlace {
  readonly shard: number;
  readonly position: number;
}

/** What one call did; a run is as many as it takes. */
export interface ErasureReport {
  /** Disclosures that were erased; of a dry run, that would be. */
  readonly erased: number;
  /** Those that fit and were kept, by why. */
  readonly kept: Readonly<Record<Kept, number>>;
  /** Entries of the log looked at so far, and how many it has. */
  readonly seen: number;
  readonly size: number;
  /** Absent when the run is over. */
  readonly next?: ErasurePlace;
}

export interface ErasureCalls {
  /**
   * Erases what is disclosed of one data subject, as much as one call may; needs `audit: erase`. Each call that finds something
   * leaves an `erasure` record before it erases, the first one of a run that finds nothing a `read` record. @throws Refusal
   * not_found where the ledger is elsewhere, ledger_unavailable
   */
  erase(call: Call & { readonly asked: (identity: Identity) => Promise<ErasureAsked> }): Promise<ErasureReport>;
}

export interface ErasureDeps extends Pick<GateDeps, 'book' | 'now' | 'log'> {
  readonly gate: Gate;
  readonly ledger: Pick<
    Ledger,
    'issuance' | 'reader' | 'shards' | 'texts' | 'erase' | 'index' | 'origin' | 'elsewhere'
  >;
  readonly retention?: RetentionRules;
  readonly policy: { readonly hash: string };
  readonly limits: { readonly ledgerMs: number };
  readonly count: (name: string, labels: Readonly<Record<string, string>>, by?: number) => void;
}

/** What one call looks at, at most. */
const most = { entries: 20_000, ms: 2_000 } as const;
/** What is kept of a call's time for erasing, milliseconds. */
const eraseMs = 8_000;

export function openErasureCalls(deps: ErasureDeps): ErasureCalls {
  const { gate, book, ledger, policy, limits, now, retention: rules = retentionRules({}) } = deps;

  async function find(log: Erasing, from: number, asked: ErasureAsked, identity: Identity, deadline: Deadline) {
    const judge = openJudge({ ledger, reader: log.reader, rules, now });
    const look = { meant: meantBy(asked), isOwn: isOf(identity), judge, most, ledgerMs: limits.ledgerMs, now };
    return findErasable(log, from, look, deadline);
  }

  /** Decided and appended under one epoch: a lockdown that comes meanwhile stops the eraser. */
  async function record(
    call: Call,
    identity: Identity,
    type: 'erasure' | 'read',
    facts: { readonly count: number } | { readonly query: string; readonly items: number },
    typed: { readonly why: string; readonly query: JsonObject },
  ): Promise<void> {
    const subject: Subject = subjectOf(identity, identity.disclosed, { ...typed, address: call.address });
    const append = async () => {
      const { grant, epoch } = await gate.permit(call, identity, 'audit:erase');
      const decided = { ...causeOf(call), grant, policy: policy.hash, epoch };
      await book.append(book.write(type, { ...decided, ...facts }, subject), time(call), { epoch });
    };
    await append()
      .catch((error) => (codeOf(error) === 'stale' ? append() : Promise.reject(error)))
      .catch(refuseStale);
  }

  const time = ({ deadline }: Call): Deadline => deadline.within(limits.ledgerMs);

  /** Nothing that names the data subject is put into the log again: whoever knows the name can check that it was meant. */
  function queryOf({ identity, issuer, before }: ErasureAsked, kept: JsonObject): JsonObject {
    const salt = book.newId();
    const digest = sha256Url(canonicalJson([salt, identity]));
    return {
      salt,
      digest,
      ...(issuer !== undefined && { issuer }),
      ...(before !== undefined && { before: instant(before) }),
      ...(Object.keys(kept).length > 0 && { kept }),
      ...(rules.holds.length > 0 && { holds: [...rules.holds] }),
    };
  }

  return {
    async erase(call) {
      const identity = await gate.verify(call);
      await gate.permit(call, identity, 'audit:erase');
      const asked = await call.asked(identity);
      const logs = erasingOf(ledger);
      const { shard, position } = asked.place ?? { shard: 0, position: 0 };
      const log = logs[shard];
      if (log === undefined) throw elsewhere(ledger);
      const found = await find(log, position, asked, identity, call.deadline.within(call.deadline.left(), eraseMs));
      const { positions, over } = found;
      const kept = Object.fromEntries(
        keptReasons.map((why) => [why, found.kept.filter((one) => one.why === why).length]),
      );
      const count = positions.length;
      const some = Object.fromEntries(Object.entries(kept).filter(([, n]) => n > 0));
      const query = queryOf(asked, some);
      const typed = { why: asked.reason, query };
      if (count > 0 && asked.dryRun !== true) {
        const where = { log: log.origin, positions: [...positions] };
        await record(call, identity, 'erasure', { count }, { ...typed, query: { ...query, ...where } });
        for (const { log: origin, positions: again } of found.said) {
          const repeated = { why: asked.reason, query: { log: origin, positions: [...again] } };
          await record(call, identity, 'erasure', { count: again.length }, repeated);
        }
        await eraseAt(log, positions, call.deadline);
        deps.count('hallpass_erased_total', { reason: 'request' }, count);
        deps.log('info', 'erased', { request: call.request, log: log.origin, count, reason: 'request' });
      } else if (asked.place === undefined) {
        const digest = sha256Url(canonicalJson(query));
        await record(call, identity, 'read', { query: digest, items: count }, typed);
      }
      // Also after a call that was cut off before it came to this.
      if (over && asked.dryRun !== true) await settleErased(log, call.deadline);
      const next = over ? { shard: shard + 1, position: 0 } : { shard, position: found.next };
      const { base, size } = await log.reader.head(time(call));
      return {
        erased: count,
        kept: kept as ErasureReport['kept'],
        seen: found.next,
        size: base + size,
        ...(next.shard < logs.length && { next }),
      };
    },
  };
}

const elsewhere = ({ elsewhere: url }: Pick<Ledger, 'elsewhere'>): Refusal =>
  new Refusal('not_found', 'ledger_elsewhere', url === undefined ? {} : { hint: `Ask the ledger: ${url}` });

/** Records about this identity, and those in which somebody named it in a question or a lockdown. */
function meantBy({ identity, issuer, before = Number.POSITIVE_INFINITY }: ErasureAsked) {
  return ({ time, issuer: came, disclosed }: Disclosing): boolean => {
    if (time >= before) return false;
    if (isAbout(disclosed, identity)) return issuer === undefined || issuer === came;
    return isNamedIn(disclosed, identity);
  };
}

/** Whether a record is about this very caller, by whatever name its issuer had in the config. */
const isOf =
  ({ iss, subject }: Identity) =>
  ({ disclosed }: Disclosing): boolean =>
    disclosed.iss === iss && disclosed.subject === subject;
