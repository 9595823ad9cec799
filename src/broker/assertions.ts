import type { Book } from '../ledger/erasure/book.ts';
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

/** Where Hallpass logs in: at a store of the config, or at the target of a credential, for one issuance where that is said. */
export interface LoginAt {
  readonly store?: string;
  readonly credential?: string;
  readonly issuance?: string | undefined;
}

/** Gives an assertion for a store or a credential: recorded as a `session`, durable, then signed by the ledger's side. */
export type AssertFor = (at: LoginAt, terms: AssertionTerms, deadline: Deadline) => Promise<string>;

/**
 * Proves this broker to stores. Which algorithms the ledger can sign with is the ledger's to say: of those a store takes,
 * the next is asked for when one is refused, and the one that worked is asked for first from then on.
 */
export function openAsserter({ book, issuer, writer, ledgerMs, now }: AsserterDeps): AssertFor {
  const worked = new Map<string, string>();

  async function sign(at: LoginAt, terms: AssertionTerms, alg: string, deadline: Deadline): Promise<string> {
    const { issuance } = at;
    const store = nameOf(at);
    const session = book.newId();
    const mint = writeAssertion(terms, {
      issuer,
      store,
      issuance,
      writer,
      session,
      iat: Math.floor(now() / 1000),
      alg,
    });
    const disclosed = { name: `self:${subjectOf(writer)}`, iss: issuer, subject: subjectOf(writer), mint };
    const append = () => {
      refuseLockedDown(book, at, now());
      const facts = { ...at, id: session, audience: terms.audience };
      const entry = book.write('session', facts, { issuer: 'self', disclosed });
      return book.append(entry, deadline.within(ledgerMs));
    };
    // A lockdown came meanwhile: the book knows it now, and it may be about this store.
    const { minted } = await append().catch((error) => (codeOf(error) === 'stale' ? append() : Promise.reject(error)));
    if (minted === null) throw new Refusal('ledger_unavailable', 'not_minted');
    return minted;
  }

  return async (at, terms, deadline) => {
    const store = `${at.store === undefined ? 'credential' : 'store'} ${nameOf(at)}`;
    const first = worked.get(store);
    const order = first === undefined ? terms.algorithms : [first, ...terms.algorithms.filter((alg) => alg !== first)];
    let refused: unknown;
    for (const alg of order) {
      try {
        const token = await sign(at, terms, alg, deadline);
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

/** What a refusal says of where it was. */
export const placeOf = ({ store, credential = '' }: LoginAt): Readonly<Record<string, string>> =>
  store === undefined ? { credential } : { store };

const nameOf = ({ store, credential }: LoginAt): string => store ?? credential ?? '';

/**
 * A store or credential under lockdown, or everything: nobody logs in there to issue something. A login that is not for one
 * issuance hands nothing out by itself, and what was issued can be ended at its target only with it.
 */
function refuseLockedDown({ lockdowns }: Book, { store, credential, issuance }: LoginAt, now: number): void {
  if (issuance === undefined) return;
  for (const { match, until } of lockdowns) {
    if (until !== undefined && Date.parse(until) <= now) continue;
    const members = Object.entries(match).filter(([, value]) => value !== undefined);
    const here: Readonly<Record<string, string | undefined>> = { store, credential };
    if (members.every(([member, value]) => Object.hasOwn(here, member) && value === here[member]))
      throw new Refusal('denied', 'lockdown', { facts: placeOf({ store, credential }) });
  }
}

const codeOf = (error: unknown): string => (error instanceof Refusal ? error.code : 'internal');
