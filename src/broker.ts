import { countDenials } from './broker/denials.ts';
import { countFailures } from './broker/failures.ts';
import { type LeaseTerms, leaseTerms } from './broker/terms.ts';
import type { ConfiguredCredential, Credential, Issued, IssueRequest } from './credentials/kind.ts';
import type { LeaseRevoker } from './leases/revoke.ts';
import { type Book, subjectOf } from './ledger/book.ts';
import type { Receipt } from './ledger/ledger.ts';
import type { RecordText } from './ledger/record.ts';
import { sha256, toBase64Url } from './lib/bytes.ts';
import { canonicalJson } from './lib/canonical-json.ts';
import { withClaims } from './lib/claims.ts';
import type { Deadline } from './lib/deadline.ts';
import type { Identity } from './lib/identity.ts';
import type { OperatorLog } from './lib/platform.ts';
import { Refusal } from './lib/refusal.ts';
import type { Secret } from './lib/secret.ts';
import { instant } from './lib/time.ts';
import type { Decision, Explanation, Permission, Policy } from './policy/policy.ts';

/** What every call carries: ids for the record and the log, and until when it may go on. */
export interface Call {
  readonly token: string;
  /** Request id. */
  readonly request: string;
  /** W3C trace id, 32 hex digits. */
  readonly trace?: string;
  /** The caller's address as the platform tells it; never from a header of the caller's. */
  readonly address?: string;
  readonly deadline: Deadline;
}

/** The body of an issue request, checked. */
export interface IssueOptions {
  /** Seconds. */
  readonly ttl?: number;
  readonly reason?: string;
  readonly invocation?: { readonly id?: string; readonly deadline?: string };
}

export interface IssueCall extends Call {
  readonly credential: string;
  /** Reads and checks the body; called after the decision, never before. @throws Refusal invalid_request, too_large, ... */
  readonly options: () => Promise<IssueOptions>;
}

/** The 200 of POST /v1/credentials/{name}. */
export interface IssueAnswer {
  readonly id: string;
  readonly credential: string;
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly lease: {
    readonly expiresAt: string;
    readonly ttl: number;
    readonly revocable: boolean;
    readonly renewable: boolean;
  };
  readonly receipt: Receipt;
}

export type Allowed = Decision & { readonly allow: true };

export interface Broker {
  /** verify -> decide -> (intent) -> read or mint -> record -> release. Rejects with a Refusal. */
  issue(call: IssueCall): Promise<IssueAnswer>;
  /** `done`: gone at the target (or nothing to do there); `recorded`: not yet done at the target. */
  revoke(call: Call & { readonly id: string }): Promise<'done' | 'recorded'>;
  explain(call: Call & { readonly credential: string }): Promise<Explanation>;
  /** Verifies the token and decides a permission; a denial is recorded. @throws Refusal */
  permit(call: Call, permission: Permission): Promise<{ readonly identity: Identity; readonly decision: Allowed }>;
  /** Appends the `read` record of an auditor's query. @throws Refusal ledger_unavailable: then there is no answer */
  recordRead(
    call: Call,
    identity: Identity,
    query: Readonly<Record<string, string | number>>,
    items: number,
  ): Promise<void>;
}

export interface BrokerDeps {
  readonly verify: (token: string, deadline: Deadline) => Promise<Identity>;
  readonly policy: Policy;
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly book: Book;
  readonly revoker: LeaseRevoker;
  /** The keyed fingerprint of a secret, and the key's id. */
  readonly fingerprint: (value: Secret, deadline: Deadline) => Promise<{ fingerprint: string; fingerprintKey: string }>;
  /** What was undone at the target, or could not be, for recovery to settle in the ledger. */
  readonly unsettled: (issuance: string) => void;
  readonly limits: {
    readonly ledgerMs: number;
    readonly storeMs: number;
    readonly mintMs: number;
    readonly undoMs: number;
  };
  readonly now: () => number;
  readonly log: OperatorLog;
  readonly count: (name: string, labels: Readonly<Record<string, string>>) => void;
}

/** One issuance under way. */
interface Pass {
  readonly call: IssueCall;
  readonly identity: Identity;
  readonly decision: Allowed;
  readonly options: IssueOptions;
  readonly configured: ConfiguredCredential;
  readonly credential: Credential;
  readonly request: IssueRequest;
  readonly lease: LeaseTerms;
}

export function createBroker(deps: BrokerDeps): Broker {
  const { book, limits, policy, now } = deps;
  const denials = countDenials();
  const failures = countFailures();

  const issue = async (call: IssueCall): Promise<IssueAnswer> => {
    const identity = await verify(call);
    const decision = await decide(call, identity);
    const pass = await prepare(call, identity, decision, await call.options());
    if (pass.credential.made === 'target') await intend(pass);
    const issued = await obtain(pass);
    const { receipt, minted } = await record(pass, issued);
    return release(pass, issued ?? finish(pass, minted), receipt);
  };

  async function verify(call: Call): Promise<Identity> {
    try {
      return await deps.verify(call.token, call.deadline);
    } catch (error) {
      if (error instanceof Refusal && error.code === 'token_invalid') await countFailure(error, call);
      throw error;
    }
  }

  async function decide(call: IssueCall, identity: Identity): Promise<Allowed> {
    const decision = policy.decide(identity, call.credential, book.lockdowns, now());
    if (!decision.allow) throw await denied(call, identity, decision.reason, call.credential);
    return decision;
  }

  async function prepare(call: IssueCall, identity: Identity, decision: Allowed, options: IssueOptions): Promise<Pass> {
    const configured = deps.credentials.get(call.credential);
    if (configured === undefined) throw new Refusal('internal', 'credential_not_built');
    const credential = await configured.open();
    const at = now();
    const lease = leaseTerms(decision.terms, credential.maxTtl, identity, options, at);
    const request: IssueRequest = {
      id: book.newId(),
      credential: call.credential,
      identity,
      now: at,
      expiresAt: lease.expiresAt,
      ttl: lease.ttl,
      deadline: call.deadline.within(credential.made === 'read' ? limits.storeMs : limits.mintMs, limits.undoMs),
    };
    return { call, identity, decision, options, configured, credential, request, lease };
  }

  async function intend(pass: Pass): Promise<void> {
    try {
      await appendDecided(pass, () => write(pass, 'intent', { issuance: pass.request.id }));
    } catch (error) {
      if (isUnknownOutcome(error)) deps.unsettled(pass.request.id);
      throw error;
    }
  }

  async function obtain(pass: Pass): Promise<Issued | undefined> {
    const { credential, request } = pass;
    try {
      if (credential.made === 'read') return await credential.read(request);
      if (credential.made === 'target') return await credential.make(request);
      return undefined;
    } catch (error) {
      if (await undo(pass)) await recordFailure(pass, error instanceof Refusal ? error.code : 'internal');
      throw error;
    }
  }

  async function record(pass: Pass, issued: Issued | undefined): Promise<{ receipt: Receipt; minted: string | null }> {
    const { call, credential, request } = pass;
    try {
      const facts =
        issued?.fingerprinted === undefined ? {} : await deps.fingerprint(issued.fingerprinted, ledgerTime(call));
      const mint = credential.made === 'signed' ? credential.mint(request) : undefined;
      const { store, version } = issued ?? {};
      return await appendDecided(pass, () =>
        write(pass, 'issuance', { id: request.id, store, version, ...facts }, mint),
      );
    } catch (error) {
      const undone = await undo(pass);
      // A ledger that failed is asked nothing more in this request; recovery settles the record (DESIGN section 7).
      if (isUnknownOutcome(error)) deps.unsettled(request.id);
      else if (undone && credential.made === 'target')
        await recordFailure(pass, error instanceof Refusal ? error.code : 'internal');
      throw error;
    }
  }

  function finish(pass: Pass, minted: string | null): Issued {
    if (pass.credential.made !== 'signed' || minted === null) throw new Refusal('ledger_unavailable', 'not_minted');
    return pass.credential.finish(minted);
  }

  function release(pass: Pass, issued: Issued, receipt: Receipt): IssueAnswer {
    const { configured, credential, lease, request } = pass;
    deps.count('hallpass_issuances_total', { credential: configured.name, kind: configured.kind });
    return {
      id: request.id,
      credential: configured.name,
      kind: configured.kind,
      data: issued.data,
      lease: { expiresAt: lease.expires, ttl: lease.ttl, revocable: credential.made === 'target', renewable: false },
      receipt,
    };
  }

  // The steps' own steps.

  /** Appends under the epoch decided under; stale: decides again, once. */
  async function appendDecided(
    pass: Pass,
    entry: () => RecordText,
  ): Promise<{ receipt: Receipt; minted: string | null }> {
    const once = pass.decision.terms.once ? pass.identity.token : undefined;
    try {
      return await book.append(entry(), ledgerTime(pass.call), once);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.code === 'replayed') throw await denied(pass.call, pass.identity, 'replayed', pass.call.credential);
      if (error.code === 'denied') throw await denied(pass.call, pass.identity, error.reason, pass.call.credential);
      if (error.code !== 'stale') throw error;
    }
    await decide(pass.call, pass.identity);
    return await book.append(entry(), ledgerTime(pass.call), once).catch((error) => {
      throw error instanceof Refusal && error.code === 'stale'
        ? new Refusal('ledger_unavailable', 'stale_twice', { retryAfter: 1 })
        : error;
    });
  }

  function write(
    pass: Pass,
    type: 'intent' | 'issuance' | 'failure',
    facts: object,
    mint?: ReturnType<(Credential & { made: 'signed' })['mint']>,
  ): RecordText {
    const { call, identity, decision, credential, configured, lease, options, request } = pass;
    const needs = credential.made === 'signed' ? (credential.needs ?? []) : [];
    const claims = withClaims(identity.disclosed, identity.claims, [...decision.terms.claims, ...needs]);
    const account = credential.made === 'target' ? credential.account(request.id) : undefined;
    const subject = subjectOf(identity, claims, {
      invocation: options.invocation === undefined ? undefined : { ...options.invocation },
      why: options.reason,
      address: call.address,
      mint,
    });
    return book.write(
      type,
      {
        ...origin(call),
        credential: configured.name,
        kind: configured.kind,
        grant: decision.grant,
        policy: policy.hash,
        epoch: book.epoch,
        ...(type === 'failure'
          ? {}
          : { lease: { expiresAt: lease.expires, ttl: lease.ttl, account, revocable: credential.made === 'target' } }),
        ...(decision.terms.once && type !== 'failure' ? { once: identity.token } : {}),
        ...facts,
      },
      subject,
    );
  }

  /** Ends at the target what may have been made there; false when it is not known to be gone. */
  async function undo(pass: Pass): Promise<boolean> {
    const { credential, request, call } = pass;
    if (credential.made !== 'target') return true;
    try {
      await credential.undo(credential.account(request.id), call.deadline.within(limits.undoMs));
      return true;
    } catch (error) {
      deps.unsettled(request.id);
      deps.log('error', 'undo_failed', {
        ...origin(call),
        issuance: request.id,
        credential: pass.configured.name,
        reason: reasonOf(error),
      });
      return false;
    }
  }

  async function recordFailure(pass: Pass, reason: string): Promise<void> {
    const { call, credential, request } = pass;
    await book.append(write(pass, 'failure', { issuance: request.id, reason }), ledgerTime(call)).catch((error) => {
      if (credential.made === 'target') deps.unsettled(request.id);
      throw error;
    });
  }

  /** Records the denial (or counts it with its equals) and gives what the caller is told. */
  async function denied(call: Call, identity: Identity, reason: string, credential?: string): Promise<Refusal> {
    const known = credential !== undefined && deps.credentials.has(credential) ? credential : undefined;
    const key = JSON.stringify([identity.issuer, identity.iss, identity.subject, known, reason]);
    const count = denials.due(key, now(), book.well);
    deps.count('hallpass_denials_total', { reason });
    if (count > 0) {
      const subject = subjectOf(identity, identity.disclosed, { address: call.address });
      const facts = { ...origin(call), credential: known, policy: policy.hash, epoch: book.epoch, reason, count };
      await book.append(book.write('denial', facts, subject), ledgerTime(call));
      denials.recorded(key, now());
    }
    return new Refusal(reason === 'replayed' ? 'replayed' : 'denied', reason, {
      facts: { issuer: identity.issuer, ...(known === undefined ? {} : { credential: known }) },
    });
  }

  async function countFailure(refusal: Refusal, call: Call): Promise<void> {
    const issuer = refusal.options.facts?.issuer as string | undefined;
    failures.count(issuer, refusal.reason, now());
    deps.count('hallpass_token_failures_total', { issuer: issuer ?? '', reason: refusal.reason });
    for (const { from, to, ...summary } of failures.take(now())) {
      const entry = book.write('summary', { ...summary, from: instant(from), to: instant(to) });
      await book.append(entry, ledgerTime(call)).catch((error) => {
        deps.log('warn', 'summary_lost', { ...origin(call), reason: reasonOf(error) });
      });
    }
  }

  async function permit(call: Call, permission: Permission): Promise<{ identity: Identity; decision: Allowed }> {
    const identity = await verify(call);
    const decision = policy.permits(identity, permission, book.lockdowns, now());
    if (!decision.allow) throw await denied(call, identity, decision.reason);
    return { identity, decision };
  }

  const ledgerTime = (call: Call): Deadline => call.deadline.within(limits.ledgerMs);

  return {
    issue,
    permit,
    async revoke(call) {
      const identity = await verify(call);
      return deps.revoker.revoke({ ...call, identity });
    },
    async explain(call) {
      const identity = await verify(call);
      return policy.explain(identity, call.credential, book.lockdowns, now());
    },
    async recordRead(call, identity, query, items) {
      const subject = subjectOf(identity, identity.disclosed, { query: { ...query }, address: call.address });
      const digest = toBase64Url(sha256(canonicalJson({ ...query })));
      await book.append(book.write('read', { ...origin(call), query: digest, items }, subject), ledgerTime(call));
    },
  };
}

const origin = (call: Call) => ({ request: call.request, trace: call.trace });

export const reasonOf = (error: unknown): string => (error instanceof Refusal ? error.reason : 'internal');

const isUnknownOutcome = (error: unknown): boolean =>
  !(error instanceof Refusal) || error.code === 'ledger_unavailable';
