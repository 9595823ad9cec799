import { type BlastRadius, measureBlastRadius } from '../leases/blast-radius.ts';
import { type IssuedSearch, openIssuedSearch, type Place } from '../leases/issued.ts';
import type { LeaseRevoker } from '../leases/revoke.ts';
import { type RevokedItem, revokeIssued } from '../leases/revoke-issued.ts';
import type { Ledger, Receipt } from '../ledger/ledger.ts';
import type { Identity } from '../lib/identity.ts';
import type { Lockdown } from '../lib/lockdown.ts';
import { Refusal } from '../lib/refusal.ts';
import { instant, parseInstant } from '../lib/time.ts';
import { isInForce } from '../policy/lockdown.ts';
import type { Policy } from '../policy/policy.ts';
import type { Call } from './call.ts';
import { type GateDeps, unheard } from './gate.ts';
import { type LockdownAppendDeps, openLockdownAppend } from './lockdown-append.ts';
import { doubtful, doubts } from './lockdown-doubts.ts';
import { type LockdownView, readLockdowns, viewOf } from './lockdown-log.ts';
import { type KnownNames, unknownNames } from './lockdown-names.ts';

export type { LockdownView } from './lockdown-log.ts';
export type { KnownNames } from './lockdown-names.ts';

/** The body of POST /v1/lockdowns, checked. */
export interface LockdownAsked {
  /** Empty: everything. */
  readonly match: Lockdown['match'];
  /** Why, in the words of who does it. */
  readonly reason: string;
  /** RFC 3339. */
  readonly until?: string;
  /** Seconds; instead of `until`. */
  readonly for?: number;
  /** Seconds to look back for what the match was issued. */
  readonly since?: number;
  readonly revoke?: boolean;
  /** Also with names this config does not have, or where it stops the caller from lifting it. */
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

export interface Revoked {
  readonly items: readonly RevokedItem[];
  /** More may be left: where to go on. */
  readonly next?: string;
}

export interface LockdownAnswer {
  /** Absent from a dry run, as are index, epoch and receipt. */
  readonly lockdown?: LockdownView;
  readonly log?: string;
  readonly index?: number;
  readonly epoch?: number;
  readonly receipt?: Receipt;
  readonly dryRun?: true;
  /** Absent where the ledger could not be read; the lockdown holds all the same. */
  readonly blastRadius?: BlastRadius;
  readonly revoked?: Revoked;
  readonly warnings?: readonly string[];
}

/** All for identities with `lockdown: write`. */
export interface LockdownCalls {
  /** Once this resolves, nothing that matches is issued at a higher index, on any instance. */
  addLockdown(call: Call & { readonly asked: () => Promise<LockdownAsked> }): Promise<LockdownAnswer>;
  listLockdowns(call: Call, all: boolean): Promise<readonly LockdownView[]>;
  /** Idempotent: one that was lifted before is shown as it is, without a receipt. @throws Refusal not_found */
  liftLockdown(
    call: Call & { readonly id: string; readonly asked: () => Promise<{ readonly reason?: string }> },
  ): Promise<Pick<LockdownAnswer, 'lockdown' | 'log' | 'index' | 'epoch' | 'receipt'>>;
  /** Revokes what a lockdown in force matches, as much as there is time for. @throws Refusal not_found, invalid_request */
  revokeLocked(
    call: Call & {
      readonly id: string;
      readonly asked: () => Promise<{ readonly since?: number; readonly cursor?: string }>;
    },
  ): Promise<Revoked>;
}

export interface LockdownDeps extends LockdownAppendDeps, Pick<GateDeps, 'now' | 'count' | 'log'> {
  readonly policy: Policy;
  readonly ledger: Pick<Ledger, 'issuance' | 'reader' | 'index' | 'shards' | 'ready'>;
  readonly revoker: LeaseRevoker;
  readonly names: KnownNames;
  /** Appends the `read` record of a look at what was issued. */
  readonly recordRead: (
    call: Call,
    identity: Identity,
    query: Readonly<Record<string, string | number>>,
    items: number,
    permission: 'lockdown:write',
  ) => Promise<void>;
}

/** Seconds. */
const defaultSince = 86_400;
/** How long whoever adds one waits for what was issued to be counted, milliseconds; the rest is for revoking. */
const measuringMs = 6_000;
/** In force: every broker that hears of one hears of them all. */
const mostInForce = 200;
/** Also over by their time and not lifted: the log keeps them at hand. */
const mostStanding = 1_000;
/** RFC 3339 has no later year. */
const lastInstant = Date.UTC(9999, 11, 31);

export function openLockdownCalls(deps: LockdownDeps): LockdownCalls {
  const { gate, book, policy, ledger, limits, now } = deps;
  const append = openLockdownAppend(deps);
  const search: IssuedSearch = openIssuedSearch({ ledger, policy, ledgerMs: limits.ledgerMs });

  /** With what is in force of old, however long ago it was added. */
  async function all({ deadline }: Call): Promise<readonly LockdownView[]> {
    // One that did not reach every shard would be shown as if it held: a ledger is ready once all have what the first has.
    if (ledger.shards !== undefined) await ledger.ready(deadline.within(limits.ledgerMs));
    const inForce = book.lockdowns.map(({ id }) => id);
    return readLockdowns(ledger, inForce, limits.ledgerMs, now(), deadline);
  }

  /** Names change with the config, and what a lockdown named is what it goes on to name. */
  function withUnknown(view: LockdownView): LockdownView {
    const { state, match } = view;
    const unknown = state === 'in_force' && match !== undefined ? unknownNames(match, deps.names) : [];
    return unknown.length === 0 ? view : { ...view, unknown: unknown.map(({ member }) => member) };
  }

  /** As the first shard has them, which has them all: another that is away keeps nobody from stopping what the rest issue. */
  const standing = async ({ deadline }: Call): Promise<readonly LockdownView[]> => {
    const [first = ledger] = ledger.shards ?? [];
    const views = await readLockdowns({ reader: first.reader }, [], limits.ledgerMs, now(), deadline);
    return views.filter(({ state }) => state !== 'lifted');
  };

  function endOf({ until, for: seconds }: LockdownAsked): string | undefined {
    if (seconds !== undefined && now() + seconds * 1000 > lastInstant)
      throw doubtful('for_too_long', 'The member for ends after the year 9999.', 'Without it the lockdown has no end.');
    if (seconds !== undefined) return instant(now() + seconds * 1000);
    if (until !== undefined && (parseInstant(until) ?? 0) <= now())
      throw doubtful('until_past', 'The member until is not in the future.');
    return until;
  }

  /** At least as far back as a lease by any grant here can live, so that nothing alive is overlooked. */
  const sinceOf = (seconds?: number): number =>
    Math.max(0, now() - (seconds ?? Math.max(defaultSince, policy.longestTtl)) * 1000);

  const revokeFrom = async (
    call: Call,
    identity: Identity,
    of: { readonly match: Lockdown['match']; readonly since: number },
    start: Place,
  ): Promise<Revoked> => {
    const { request, trace, address, deadline } = call;
    const about = { identity, request, trace, address, deadline };
    const { items, next } = await revokeIssued(search, deps.revoker, of, start, about, now);
    for (const { credential, outcome } of items) deps.count('hallpass_lockdown_revoked_total', { credential, outcome });
    return { items, ...(next !== undefined && { next: cursorOf(next) }) };
  };

  return {
    async addLockdown(call) {
      const identity = await gate.verify(call);
      await gate.permit(call, identity, 'lockdown:write');
      const asked = await call.asked();
      const { match, reason, dryRun, revoke } = asked;
      const doubted = doubts(asked, identity, { book, policy, names: deps.names, now: now() });
      const until = endOf(asked);
      const of = { match, since: sinceOf(asked.since) };
      const measured = () => measureBlastRadius(search, of, now(), call.deadline.within(measuringMs));
      if (dryRun === true) {
        const blastRadius = await measured();
        const query = { lockdown: JSON.stringify(match), since: instant(of.since) };
        await deps.recordRead(call, identity, query, blastRadius.issued, 'lockdown:write');
        return { dryRun, blastRadius, ...warned([...doubted, ...told(blastRadius)]) };
      }
      const { length: unlifted } = await standing(call);
      if (book.lockdowns.filter((one) => isInForce(one, now())).length >= mostInForce)
        throw doubtful('too_many', `There are ${mostInForce} lockdowns.`, 'Lift some, or lock everything down.');
      if (unlifted >= mostStanding)
        throw doubtful('too_many', `There are ${mostStanding} lockdowns.`, 'Lift those that are over.');
      const target = Object.keys(match).sort().join(' ') || 'everything';
      const facts = { op: 'add', target, ...(until !== undefined && { until }) };
      const { placed, answer } = await append(call, identity, facts, { match: { ...match }, why: reason });
      const lockdown = viewOf(placed, new Map(), now());
      deps.count('hallpass_lockdowns_total', { op: 'add' });
      deps.log('warn', 'lockdown_added', { request: call.request, index: answer.index });
      // It holds from here on, whatever comes after.
      const blastRadius = await measured().catch(() => undefined);
      const revoked =
        revoke === true
          ? await revokeFrom(call, identity, of, start).catch(() => ({ items: [], next: cursorOf(start) }))
          : undefined;
      return {
        lockdown,
        ...answer,
        ...(blastRadius && { blastRadius }),
        ...(revoked && { revoked }),
        ...warned([...doubted, ...(blastRadius === undefined ? [unmeasured] : told(blastRadius))]),
      };
    },

    async listLockdowns(call, everyState) {
      const identity = await gate.verify(call);
      await gate.permit(call, identity, 'lockdown:write');
      const views = (await all(call)).filter(({ state }) => everyState || state === 'in_force');
      await deps.recordRead(
        call,
        identity,
        { lockdowns: everyState ? 'all' : 'in_force' },
        views.length,
        'lockdown:write',
      );
      return views.map(withUnknown);
    },

    async liftLockdown(call) {
      const identity = await gate.verify(call);
      await gate.permit(call, identity, 'lockdown:write');
      const { reason: why } = await call.asked();
      const there = (await all(call)).find(({ id }) => id === call.id);
      if (there === undefined) throw notFound();
      if (there.state === 'lifted') return { lockdown: there };
      const { placed, answer } = await append(call, identity, { op: 'lift', target: call.id }, { why }).catch(
        (error) => {
          // Another was faster.
          if (error instanceof Refusal && error.reason === 'unknown_lockdown') throw notFound();
          throw error;
        },
      );
      deps.count('hallpass_lockdowns_total', { op: 'lift' });
      deps.log('warn', 'lockdown_lifted', { request: call.request, index: answer.index });
      const lifted = { at: recordTime(placed.record), by: identity.name, ...(why !== undefined && { reason: why }) };
      return { lockdown: { ...there, state: 'lifted', lifted: { ...lifted, index: answer.index } }, ...answer };
    },

    async revokeLocked(call) {
      const identity = await gate.verify(call);
      // A revocation is taken under any epoch, and nothing else is appended by this.
      if (!(await book.refresh(call.deadline, 0, limits.ledgerMs))) throw unheard();
      await gate.permit(call, identity, 'lockdown:write');
      const { since, cursor } = await call.asked();
      const from = cursor === undefined ? start : placeOf(cursor, ledger.shards?.length ?? 1);
      const there = (await all(call)).find(({ id }) => id === call.id);
      if (there === undefined) throw notFound();
      // One that is over would revoke what may be issued again; of an erased one nobody knows what it named.
      if (there.state !== 'in_force' || there.match === undefined)
        throw doubtful('not_in_force', 'This lockdown is not in force.', 'Add another.');
      return revokeFrom(call, identity, { match: there.match, since: sinceOf(since) }, from);
    },
  };
}

const start: Place = { log: 0 };

const cursorOf = ({ log, before }: Place): string => (before === undefined ? `${log}` : `${log}.${before}`);

/** Of a ledger of so many logs. @throws Refusal invalid_request */
function placeOf(cursor: string, logs: number): Place {
  const [, log, before] = /^(\d{1,4})(?:\.(\d{1,15}))?$/.exec(cursor) ?? [];
  if (log === undefined || Number(log) >= logs) throw doubtful('cursor', 'The cursor is not one of this lockdown.');
  return { log: Number(log), ...(before !== undefined && { before: Number(before) }) };
}

const recordTime = (record: string): string => (JSON.parse(record) as { time: string }).time;

const notFound = (): Refusal =>
  new Refusal('not_found', 'no_lockdown', { detail: 'No lockdown of this id is in force.' });

const unmeasured = 'The lockdown holds, but the ledger could not be read: what was issued is not counted.';

const told = (radius: BlastRadius): readonly string[] => [...idle(radius), ...lasting(radius), ...formerly(radius)];

/** A record says which grant and credential it was, and not by which role or with which stores behind it. */
const formerly = ({ otherwise }: BlastRadius): readonly string[] =>
  otherwise === undefined
    ? []
    : [
        `${otherwise} issuances that do not match were decided under another config than this one, where their roles and stores may have been others: name their credential, grant or issuer to be sure.`,
      ];

/** What nobody is to take for gone: its leases end, and it does not. */
function lasting({ credentials }: BlastRadius): readonly string[] {
  const names = credentials.filter(({ stored }) => stored === true).map(({ credential }) => credential);
  const said =
    'What was handed over of these lies in a store and stays good, whatever became of its leases, until it is';
  return names.length === 0 ? [] : [`${said} rotated: ${names.join(', ')}.`];
}

const idle = ({ issued, unknown, complete }: BlastRadius): readonly string[] =>
  issued === 0 && unknown === 0 && complete
    ? ['Nothing that was issued in this time matches: is it what you meant?']
    : [];

const warned = (warnings: readonly string[]) => (warnings.length === 0 ? {} : { warnings });
