import { before, deadlineIn } from '../lib/deadline.ts';
import type { OperatorLog } from '../lib/platform.ts';
import type { ReadRef, Ref, RefValue } from '../lib/ref.ts';
import { Refusal } from '../lib/refusal.ts';
import { Secret } from '../lib/secret.ts';
import { singleFlight } from '../lib/single-flight.ts';
import { JsonError, parseStrictJsonObject } from '../lib/strict-json.ts';
import { type Store, type StoredSecret, StoreError, type StoreFault } from './store.ts';

/** A store that is loaded and opened when it is first used. */
export interface LazyStore {
  open(): Promise<Store>;
  /** How long what was read may be reused, milliseconds. */
  readonly cacheMs: number;
}

export interface ReaderOptions {
  readonly stores: Readonly<Record<string, LazyStore>>;
  /** A store's own share of a request's deadline, milliseconds. */
  readonly storeMs: number;
  readonly now: () => number;
  readonly log: OperatorLog;
}

/** How long "not there" and "not ours" are believed, milliseconds: shorter than values, as operators fix them. */
const negativeMs = 5_000;
const maxEntries = 1_000;

type Answer = StoredSecret | StoreError;

/**
 * Reads REFs: one upstream call for all who ask for the same at once, a bounded cache in memory, a member of a JSON value
 * where the REF names one. Every error is a Refusal without a word of the store's.
 */
export function createReader({ stores, storeMs, now, log }: ReaderOptions): ReadRef {
  const cache = new Map<string, { readonly answer: Answer; readonly from: number; readonly until: number }>();
  const together = singleFlight<Answer>(now, storeMs);

  function cached(key: string): Answer | undefined {
    const entry = cache.get(key);
    if (entry === undefined) return undefined;
    cache.delete(key);
    const at = now();
    // A clock that went back behind the question says nothing of the answer's age.
    if (at < entry.from || entry.until <= at) return undefined;
    // Put back as the newest, so that the least recently used goes first.
    cache.set(key, entry);
    return entry.answer;
  }

  function keep(key: string, answer: Answer, from: number, ms: number): void {
    if (from + ms <= now()) return;
    if (cache.size >= maxEntries) cache.delete(cache.keys().next().value as string);
    cache.set(key, { answer, from, until: from + ms });
  }

  /** One upstream call; its time is its own, not that of the caller who happened to come first. */
  async function ask(key: string, lazy: LazyStore, ref: Ref): Promise<Answer> {
    const { name, version } = ref;
    const asked = now();
    const answer = await lazy
      .open()
      .then((store) => store.get(name, version, deadlineIn(storeMs, now)))
      .catch((cause) =>
        cause instanceof StoreError ? cause : new StoreError('unreachable', { reason: 'internal', cause }),
      );
    if (answer instanceof StoreError) tell(ref, answer);
    keep(key, answer, asked, lifeOf(answer, lazy.cacheMs));
    return answer;
  }

  /** Once per upstream call: what exactly went wrong, for the operator alone. */
  function tell({ store }: Ref, { fault, facts }: StoreError): void {
    const { step, status, code } = facts;
    log('warn', 'store_failed', { store, step, reason: facts.reason ?? fault, status, code });
  }

  return async (ref, deadline) => {
    const lazy = Object.hasOwn(stores, ref.store) ? stores[ref.store] : undefined;
    if (lazy === undefined) throw refuse(ref, 'unknown_store');
    const key = JSON.stringify([ref.store, ref.name, ref.version]);
    const answer =
      cached(key) ??
      (await before(
        deadline.within(storeMs),
        () => refuse(ref, 'slow'),
        () => together(key, () => ask(key, lazy, ref)),
      ));
    if (answer instanceof StoreError) throw refusalOf(ref, answer);
    return select(ref, answer);
  };
}

function lifeOf(answer: Answer, cacheMs: number): number {
  if (!(answer instanceof StoreError)) return cacheMs;
  // Also where nothing may be cached: a service that asks us to wait is not asked by everybody at once.
  if (answer.fault === 'throttled') return Math.min((answer.facts.retryAfter ?? 1) * 1000, negativeMs);
  const settled = answer.fault === 'absent' || answer.fault === 'denied' || answer.fault === 'disabled';
  return settled ? Math.min(cacheMs, negativeMs) : 0;
}

/** The whole value, or the member of it that the REF names: a string of a JSON object. */
function select(ref: Ref, { value, version }: StoredSecret): RefValue {
  if (ref.field === undefined) return { value, version, store: ref.store };
  const member = memberOf(ref, value, ref.field);
  return { value: new Secret(member), version, store: ref.store };
}

function memberOf(ref: Ref, value: Secret, field: string): string {
  try {
    const object = parseStrictJsonObject(value.reveal());
    const member = Object.hasOwn(object, field) ? object[field] : undefined;
    if (typeof member === 'string') return member;
  } catch (error) {
    if (error instanceof JsonError) throw refuse(ref, 'not_json');
    throw error;
  }
  throw refuse(ref, 'no_field');
}

type Reason = StoreFault | 'unknown_store' | 'not_json' | 'no_field';

/** Without the ledger nothing proves us to a store: that is the ledger's failure, not the store's. */
function refusalOf(ref: Ref, { fault, facts }: StoreError): Refusal {
  if (facts.reason === 'ledger_unavailable')
    return new Refusal('ledger_unavailable', 'no_assertion', { facts: { store: ref.store }, retryAfter: 1 });
  return refuse(ref, fault, facts.retryAfter);
}

const refuse = ({ store }: Ref, reason: Reason, retryAfter?: number): Refusal =>
  new Refusal(reason === 'slow' ? 'store_timeout' : 'store_failed', reason, {
    facts: { store, reason },
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
