import type { Fault } from '../lib/fault.ts';
import { Refusal } from '../lib/refusal.ts';
import { isJsonObject, type Json } from '../lib/strict-json.ts';
import { subjectOf } from '../sessions/assertion.ts';
import type { AssertionTerms } from '../sessions/session.ts';
import { stores as catalog } from '../stores/index.ts';
import { sameService } from './audiences.ts';
import type { Entry } from './config.ts';
import { isForeign, refsIn, type Written } from './cross-checks.ts';
import type { Report } from './entries.ts';

/** What goes wrong only because Hallpass proves itself to stores by assertions that its ledger signs. */
export function checkSessions(written: Written, stores: Readonly<Record<string, Entry>>, report: Report): void {
  const terms = termsOf(stores);
  if (terms.size === 0) return;
  checkSubject(written, report);
  checkPurposes(written, terms, report);
  checkReceivers(terms, stores, report);
  checkOrder(written, terms, report);
}

/** By store: what its assertion says, for those that log in by one. */
function termsOf(stores: Readonly<Record<string, Entry>>): Map<string, AssertionTerms> {
  const found = new Map<string, AssertionTerms>();
  for (const [name, entry] of Object.entries(stores)) {
    const terms = catalog.find(({ name: kind }) => kind === entry.kind)?.assertion?.(entry);
    if (terms !== undefined) found.set(name, terms);
  }
  return found;
}

function checkSubject({ broker }: Written, report: Report): void {
  if (typeof broker.url !== 'string') return;
  try {
    subjectOf(broker.url);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const message = 'the subject of our assertions, broker:HOST, has at most 127 characters: this host is too long';
    report({ path: ['broker', 'url'], message });
  }
}

/** A token for one purpose is refused by every other: two purposes never share an audience. */
function checkPurposes(
  { broker, ledger, issuers }: Written,
  terms: ReadonlyMap<string, AssertionTerms>,
  report: Report,
): void {
  const audienceOf = (entry: Json) => (isJsonObject(entry) ? entry.audience : undefined);
  // One that is a cloud's was refused where it is written.
  const audiences = [broker, ...Object.values(issuers)].map(audienceOf).filter((text) => !isForeign(text));
  const doors = [broker.url, ledger.url, ...audiences];
  for (const [store, { audience }] of terms) {
    if (doors.some((door) => typeof door === 'string' && sameService(door, audience))) {
      const message = `what proves us to ${store} would open a door of Hallpass itself: they share an audience`;
      report({ path: ['stores', store], message, hint: 'give this store an audience of its own' });
    }
  }
}

/** Who is shown an assertion must not be able to show it to another: Vaults and clusters of one audience are one by address. */
function checkReceivers(
  terms: ReadonlyMap<string, AssertionTerms>,
  stores: Readonly<Record<string, Entry>>,
  report: Report,
): void {
  const firsts = new Map<string, string>();
  for (const [store, { audience }] of terms) {
    const first = firsts.get(audience) ?? store;
    firsts.set(audience, first);
    if (receiverOf(stores[first]) === receiverOf(stores[store])) continue;
    const message = `what proves us to ${store} would prove us to ${first} as well: they share an audience`;
    report({ path: ['stores', store], message, hint: 'give one of them an audience of its own' });
  }
}

/** A cloud's token service is one for all stores of a kind. */
const receiverOf = (entry: (Entry & { readonly address?: unknown; readonly server?: unknown }) | undefined) =>
  JSON.stringify([entry?.kind, entry?.address, entry?.server]);

/** What is read before the ledger is open cannot be in a store that only the ledger can prove us to. */
function checkOrder(
  { broker, ledger, stores }: Written,
  terms: ReadonlyMap<string, AssertionTerms>,
  report: Report,
): void {
  const late = new Set(terms.keys());
  // A store whose own key is in such a store is one too; as many rounds as there are stores are enough.
  for (const _ of Object.keys(stores))
    for (const [name, entry] of Object.entries(stores))
      if (refsIn(entry, []).some(({ store }) => late.has(store))) late.add(name);
  const early: [Json, Fault['path']][] = [
    [broker.signer ?? null, ['broker', 'signer']],
    [ledger, ['ledger']],
  ];
  for (const [value, at] of early)
    for (const { path, store } of refsIn(value, at)) {
      if (!late.has(store)) continue;
      const message = `this is needed before the ledger is open, and only the ledger can prove us to the store ${store}`;
      report({ path: [...path, 'store'], message, hint: 'keep it in a store that the platform’s own identity opens' });
    }
}
