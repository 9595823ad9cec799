import type { ConfiguredCredential, Lease, TargetCredential } from '../credentials/kind.ts';
import { configuredFor } from '../leases/ending.ts';
import { type LeaseStory, readStory } from '../leases/story.ts';
import { type Book, subjectOf } from '../ledger/erasure/book.ts';
import type { Ledger, Receipt } from '../ledger/ledger.ts';
import { withClaims } from '../lib/claims.ts';
import type { Identity } from '../lib/identity.ts';
import { Refusal } from '../lib/refusal.ts';
import { instant } from '../lib/time.ts';
import type { Policy } from '../policy/policy.ts';
import { codeOf, refuseStale } from './append.ts';
import { type Call, causeOf, type IssueOptions } from './call.ts';
import type { Decided, Gate } from './gate.ts';
import { leaseTerms } from './terms.ts';

/** The 200 of POST /v1/leases/{id}/renew: the lease as it is from now on. */
export interface RenewAnswer {
  readonly id: string;
  readonly credential: string;
  readonly kind: string;
  readonly lease: {
    readonly expiresAt: string;
    readonly ttl: number;
    readonly revocable: boolean;
    readonly renewable: boolean;
  };
  readonly receipt: Receipt;
}

export interface RenewCall extends Call {
  readonly id: string;
  /** Beside the token: for a kind that needs what it keeps. */
  readonly handle?: string;
  readonly options: () => Promise<IssueOptions>;
}

export interface RenewDeps {
  readonly gate: Gate;
  readonly policy: Policy;
  readonly book: Book;
  readonly ledger: Pick<Ledger, 'issuance'>;
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly limits: { readonly ledgerMs: number; readonly mintMs: number; readonly undoMs: number };
  readonly now: () => number;
}

/**
 * Prolongs a lease of this identity's: decided anew, never past the grant's maximum from when it was issued. The record
 * goes first: what lives longer at the target than the ledger knows would be nobody's to end.
 */
export function openRenewal({ gate, policy, book, ledger, credentials, limits, now }: RenewDeps) {
  return async (call: RenewCall, identity: Identity, story: LeaseStory, kept?: string): Promise<RenewAnswer> => {
    const { issuance } = story;
    const { credential: name = '', kind = '' } = issuance;
    const decision = await gate.decide({ ...call }, identity, name);
    const options = await call.options();
    if (story.ended !== undefined || now() >= story.expiresAt) throw notRenewable('lease_over', 'This lease is over.');
    const configured = configuredFor(issuance, credentials.get(name));
    const credential = await configured?.open();
    if (credential?.made !== 'target' || credential.renew === undefined)
      throw notRenewable('not_renewable', 'A lease of this kind cannot be renewed.');
    if (configured?.target?.isOther(issuance.version) === true)
      throw notRenewable('target_changed', 'This lease cannot be made to live longer.');
    if (credential.renewedByHandle === true && kept === undefined) throw noHandle();
    const latest = story.began + (decision.terms.maxTtl ?? decision.terms.ttl ?? 0) * 1000;
    const endOf = (wanted: IssueOptions) => {
      const { expiresAt } = leaseTerms(decision.terms, credential.maxTtl, identity, wanted, now());
      return Math.floor(Math.min(expiresAt, latest) / 1000) * 1000;
    };
    if (endOf({ ...options, ttl: Number.POSITIVE_INFINITY }) <= story.expiresAt)
      throw notRenewable('at_maximum', 'This lease cannot be made to live longer.');
    // Asked for less than it has, such as in the second in which it was issued, it keeps what it has.
    const expiresAt = Math.max(endOf(options), story.expiresAt);
    const ttl = Math.floor((expiresAt - now()) / 1000);
    const lease = { expiresAt: instant(expiresAt), ttl, revocable: issuance.lease?.revocable === true };
    const receipt = await record(call, identity, decision, story, lease);
    const account = issuance.lease?.account;
    const held: Lease = { issuance: issuance.id, ...(account && { account }), ...(kept !== undefined && { kept }) };
    await prolong(credential, held, expiresAt, call);
    return { id: issuance.id, credential: name, kind, lease: { ...lease, renewable: latest > expiresAt }, receipt };
  };

  /** Of two at once the one for less may come to the target last: each looks whether more was recorded meanwhile. */
  async function prolong(credential: TargetCredential, held: Lease, until: number, { deadline }: Call): Promise<void> {
    for (let end = until; ; ) {
      await credential.renew?.(held, end, deadline.within(limits.mintMs));
      // What this renewal recorded is so at the target, whatever the ledger answers now.
      const story = await ledger.issuance(held.issuance, deadline.within(limits.ledgerMs)).catch(() => []);
      const { ended, expiresAt = 0 } = readStory(held.issuance, story) ?? {};
      if (ended !== undefined || expiresAt <= end) return;
      end = expiresAt;
    }
  }

  async function record(
    call: RenewCall,
    identity: Identity,
    decision: Decided,
    { issuance }: LeaseStory,
    lease: { expiresAt: string; ttl: number; revocable: boolean },
  ): Promise<Receipt> {
    const { credential, kind } = issuance;
    const claims = withClaims(identity.disclosed, identity.claims, decision.terms.claims);
    const subject = subjectOf(identity, claims, { address: call.address });
    const append = async ({ grant, epoch, terms }: Decided) => {
      const once = terms.once ? identity.token : undefined;
      const facts = {
        ...causeOf(call),
        issuance: issuance.id,
        credential,
        kind,
        grant,
        policy: policy.hash,
        epoch,
        ...(once !== undefined && { once }),
        lease: { ...lease, account: issuance.lease?.account },
      };
      const deadline = call.deadline.within(limits.ledgerMs, limits.undoMs);
      try {
        return (await book.append(book.write('renewal', facts, subject), deadline, { epoch, once })).receipt;
      } catch (error) {
        // What the ledger refuses the caller is a denial like any other.
        if (!(error instanceof Refusal) || (error.code !== 'replayed' && error.code !== 'denied')) throw error;
        throw await gate.denied(call, identity, error.code === 'replayed' ? 'replayed' : error.reason, credential);
      }
    };
    try {
      return await append(decision);
    } catch (error) {
      if (codeOf(error) !== 'stale') throw error;
    }
    const again = await gate.decide(call, identity, credential ?? '');
    if (again.grant !== decision.grant) throw new Refusal('ledger_unavailable', 'decided_otherwise', { retryAfter: 1 });
    return await append(again).catch(refuseStale);
  }
}

const notRenewable = (reason: string, detail: string): Refusal =>
  new Refusal('invalid_request', reason, { detail, hint: 'Ask for a new one.' });

const noHandle = (): Refusal =>
  new Refusal('invalid_request', 'no_handle', {
    detail: 'A lease of this kind is renewed with its handle.',
    hint: 'Send the handle as the header Hallpass-Lease.',
  });
