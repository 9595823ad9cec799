import type { Book } from '../ledger/book.ts';
import type { Deadline } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import { subjectOf, writeAssertion } from '../sessions/assertion.ts';
import type { AssertionTerms } from '../sessions/session.ts';

export interface AsserterDeps {
  readonly book: Book;
  /** Who signs: the `broker.url` of the ledger. */
  readonly issuer: string;
  /** This broker's `broker.url`. */
  readonly writer: string;
  readonly ledgerMs: number;
  readonly now: () => number;
}

/** Gives an assertion for a store: recorded as a `session`, durable, then signed by the ledger's side. */
export type AssertFor = (store: string, terms: AssertionTerms, deadline: Deadline) => Promise<string>;

/**
 * Proves this broker to stores. Which algorithms the ledger can sign with is the ledger's to say: of those a store takes,
 * the next is asked for when one is refused, and the one that worked is asked for first from then on.
 */
export function openAsserter({ book, issuer, writer, ledgerMs, now }: AsserterDeps): AssertFor {
  const worked = new Map<string, string>();

  async function sign(store: string, terms: AssertionTerms, alg: string, deadline: Deadline): Promise<string> {
    const session = book.newId();
    const mint = writeAssertion(terms, { issuer, store, writer, session, iat: Math.floor(now() / 1000), alg });
    const disclosed = { name: `self:${subjectOf(writer)}`, iss: issuer, subject: subjectOf(writer), mint };
    const append = () => {
      refuseLockedDown(book, store, now());
      const facts = { id: session, store, audience: terms.audience };
      const entry = book.write('session', facts, { issuer: 'self', disclosed });
      return book.append(entry, deadline.within(ledgerMs));
    };
    // A lockdown came meanwhile: the book knows it now, and it may be about this store.
    const { minted } = await append().catch((error) => (codeOf(error) === 'stale' ? append() : Promise.reject(error)));
    if (minted === null) throw new Refusal('ledger_unavailable', 'not_minted');
    return minted;
  }

  return async (store, terms, deadline) => {
    const first = worked.get(store);
    const order = first === undefined ? terms.algorithms : [first, ...terms.algorithms.filter((alg) => alg !== first)];
    let refused: unknown;
    for (const alg of order) {
      try {
        const token = await sign(store, terms, alg, deadline);
        worked.set(store, alg);
        return token;
      } catch (error) {
        if (codeOf(error) === 'stale') throw new Refusal('ledger_unavailable', 'stale_twice', { retryAfter: 1 });
        if (codeOf(error) !== 'denied') throw error;
        refused = error;
      }
    }
    throw refused;
  };
}

/** A store under lockdown, or everything: nobody logs in there. */
function refuseLockedDown({ lockdowns }: Book, store: string, now: number): void {
  for (const { match, until } of lockdowns) {
    if (until !== undefined && Date.parse(until) <= now) continue;
    const members = Object.entries(match).filter(([, value]) => value !== undefined);
    if (members.every(([member, value]) => member === 'store' && value === store))
      throw new Refusal('denied', 'lockdown', { facts: { store } });
  }
}

const codeOf = (error: unknown): string => (error instanceof Refusal ? error.code : 'internal');
