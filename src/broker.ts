import { type Call, causeOf, type IssueAnswer, type IssueCall, type IssueOptions } from './broker/call.ts';
import { type Allowed, type Decided, type Gate, type GateDeps, openGate } from './broker/gate.ts';
import { accountOf, type Pass, writePass } from './broker/pass.ts';
import { openSeal, type Seal } from './broker/seal.ts';
import { leaseTerms, untilInvocationEnds } from './broker/terms.ts';
import type { ConfiguredCredential, Issued } from './credentials/kind.ts';
import type { LeaseRevoker } from './leases/revoke.ts';
import { subjectOf } from './ledger/book.ts';
import type { Receipt } from './ledger/ledger.ts';
import type { RecordText } from './ledger/record.ts';
import { sha256, toBase64Url } from './lib/bytes.ts';
import { canonicalJson } from './lib/canonical-json.ts';
import type { Deadline } from './lib/deadline.ts';
import type { Identity } from './lib/identity.ts';
import type { Mint } from './lib/mint.ts';
import { Refusal } from './lib/refusal.ts';
import type { Secret } from './lib/secret.ts';
import type { Explanation, Permission, Policy } from './policy/policy.ts';

export type { Call, IssueAnswer, IssueCall, IssueOptions } from './broker/call.ts';
export type { Allowed } from './broker/gate.ts';

export interface Broker {
  /** verify -> decide -> (intent) -> read or mint -> record -> release. Rejects with a Refusal. */
  issue(call: IssueCall): Promise<IssueAnswer>;
  /** `done`: gone at the target (or nothing to do there); `recorded`: not yet done at the target. */
  revoke(call: Call & { readonly id: string }): Promise<'done' | 'recorded'>;
  /** With `values`, the near misses say what was compared (`broker.explain: values`). */
  explain(call: Call & { readonly credential: string; readonly values?: boolean }): Promise<Explanation>;
  /** Verifies the token and decides a permission; a denial is recorded. @throws Refusal */
  permit(call: Call, permission: Permission): Promise<{ readonly identity: Identity; readonly decision: Allowed }>;
  /** Records the counts of tokens that did not verify, where a minute's are due. Never rejects. */
  summarise(deadline: Deadline): Promise<void>;
  /** Appends the `read` record of an auditor's query. @throws Refusal ledger_unavailable: then there is no answer */
  recordRead(
    call: Call,
    identity: Identity,
    query: Readonly<Record<string, string | number>>,
    items: number,
  ): Promise<void>;
}

export interface BrokerDeps extends Omit<GateDeps, 'knows' | 'ledgerMs'> {
  readonly policy: Policy;
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly revoker: LeaseRevoker;
  /** The keyed fingerprint of a secret, and the key's id. */
  readonly fingerprint: (value: Secret, deadline: Deadline) => Promise<{ fingerprint: string; fingerprintKey: string }>;
  /** Remembers an issuance whose record or account could not be finished, for recovery to settle. */
  readonly unsettled: (issuance: string) => void;
  readonly limits: {
    readonly ledgerMs: number;
    readonly storeMs: number;
    readonly mintMs: number;
    readonly undoMs: number;
  };
}

export function createBroker(deps: BrokerDeps): Broker {
  const { book, credentials, limits, policy } = deps;
  const gate: Gate = openGate({ ...deps, knows: (name) => credentials.has(name), ledgerMs: limits.ledgerMs });

  async function issue(call: IssueCall): Promise<IssueAnswer> {
    const identity = await gate.verify(call);
    const decision = await gate.decide(call, identity, call.credential);
    const pass = await prepare(call, identity, decision);
    if (pass.credential.made === 'target') await intend(pass);
    const issued = await obtain(pass);
    const { receipt, minted } = await record(pass, issued);
    return release(pass, issued ?? finish(pass, minted), receipt);
  }

  async function prepare(asked: IssueCall, identity: Identity, decision: Decided): Promise<Pass> {
    const options = await optionsOf(asked, identity, decision);
    const configured = credentials.get(asked.credential);
    if (configured === undefined) throw new Refusal('internal', 'credential_not_built');
    const credential = await configured.open();
    const now = deps.now();
    const call = untilInvocationEnds(asked, options, now);
    const lease = leaseTerms(decision.terms, credential.maxTtl, identity, options, now);
    const deadline = call.deadline.within(credential.made === 'read' ? limits.storeMs : limits.mintMs, limits.undoMs);
    const { ttl, expiresAt } = lease;
    const request = { id: book.newId(), credential: call.credential, identity, now, expiresAt, ttl, deadline };
    const seal = options.sealTo === undefined ? undefined : await openSeal(options.sealTo);
    return { call, identity, decision, options, configured, credential, request, lease, seal };
  }

  /** What was asked, once it is within the grant: one that pins a key gives nothing that is not sealed to it. */
  async function optionsOf(call: IssueCall, identity: Identity, { terms }: Decided): Promise<IssueOptions> {
    const options = await call.options().catch((error) => denyAlike(call, identity, error));
    if (terms.sealTo !== undefined && terms.sealTo !== options.sealTo?.thumbprint)
      throw await gate.denied(call, identity, 'seal_key', call.credential);
    return options;
  }

  /** What is refused as denied once it was decided is recorded as what the gate itself denies. */
  async function denyAlike(call: IssueCall, identity: Identity, error: unknown): Promise<never> {
    if (!(error instanceof Refusal && error.code === 'denied')) throw error;
    throw await gate.denied(call, identity, error.reason, call.credential);
  }

  async function intend(pass: Pass): Promise<void> {
    try {
      await appendDecided(pass, (now) => writePass(book, policy.hash, now, 'intent', { issuance: now.request.id }));
    } catch (error) {
      if (isUnknownOutcome(error)) deps.unsettled(pass.request.id);
      throw error;
    }
  }

  /** Reads or makes; a signed kind has nothing yet, it is signed by the ledger's side from the record. */
  async function obtain(pass: Pass): Promise<Issued | undefined> {
    const { credential, request } = pass;
    try {
      if (credential.made === 'read') return await credential.read(request);
      if (credential.made === 'target') return await credential.make(request);
      return undefined;
    } catch (error) {
      if (await undo(pass)) await recordFailure(pass, codeOf(error));
      throw error;
    }
  }

  async function record(pass: Pass, issued: Issued | undefined): Promise<{ receipt: Receipt; minted: string | null }> {
    const { call, credential, request } = pass;
    try {
      const secret = issued?.fingerprinted;
      const facts = secret === undefined ? {} : await deps.fingerprint(secret, ledgerTime(call));
      const mint = await mintOf(pass);
      const stored = { id: request.id, store: issued?.store, version: issued?.version, ...facts };
      return await appendDecided(pass, (now) => writePass(book, policy.hash, now, 'issuance', stored, mint));
    } catch (error) {
      const undone = await undo(pass);
      // A ledger that failed is asked nothing more in this request; recovery settles the record.
      if (isUnknownOutcome(error)) deps.unsettled(request.id);
      else if (undone && credential.made === 'target') await recordFailure(pass, codeOf(error));
      throw error;
    }
  }

  /** What is to be signed; a token whose claims cannot fill the template is denied like any other. */
  async function mintOf({ call, identity, credential, request }: Pass): Promise<Mint | undefined> {
    try {
      return credential.made === 'signed' ? credential.mint(request) : undefined;
    } catch (error) {
      return await denyAlike(call, identity, error);
    }
  }

  function finish(pass: Pass, minted: string | null): Issued {
    if (pass.credential.made !== 'signed' || minted === null) {
      deps.unsettled(pass.request.id);
      throw new Refusal('ledger_unavailable', 'not_minted');
    }
    return pass.credential.finish(minted);
  }

  async function release(pass: Pass, issued: Issued, receipt: Receipt): Promise<IssueAnswer> {
    const { configured, credential, lease, request } = pass;
    const { name, kind } = configured;
    const sealed = pass.seal === undefined ? undefined : await sealedOf(pass, pass.seal, issued);
    deps.count('hallpass_issuances_total', { credential: name, kind });
    const revocable = credential.made === 'target';
    const terms = { expiresAt: lease.expires, ttl: lease.ttl, revocable, renewable: false };
    if (sealed !== undefined) return { id: request.id, credential: name, kind, sealed, lease: terms, receipt };
    return { id: request.id, credential: name, kind, data: issued.data, lease: terms, receipt };
  }

  /** Sealed once recorded. It was tried before, so what fails here is undone and left to recovery to record. */
  async function sealedOf(pass: Pass, seal: Seal, issued: Issued): Promise<string> {
    try {
      return await seal(issued.data);
    } catch (cause) {
      await undo(pass);
      deps.unsettled(pass.request.id);
      throw new Refusal('internal', 'seal', { cause });
    }
  }

  /** Appends what was decided, under its epoch; when that turns out stale, decides again, once. */
  async function appendDecided(pass: Pass, write: (pass: Pass) => RecordText) {
    const { call, identity, decision } = pass;
    try {
      return await appendOnce(pass, write);
    } catch (error) {
      if (codeOf(error) !== 'stale') throw error;
    }
    const again = await gate.decide(call, identity, call.credential);
    // Another grant has other terms than those already put into this pass: the caller asks anew.
    if (again.grant !== decision.grant) throw new Refusal('ledger_unavailable', 'decided_otherwise', { retryAfter: 1 });
    return await appendOnce({ ...pass, decision: again }, write).catch(refuseStale);
  }

  /** What the ledger refuses the caller is a denial like any other. */
  async function appendOnce(pass: Pass, write: (pass: Pass) => RecordText) {
    const { call, identity, decision, credential } = pass;
    const once = decision.terms.once ? identity.token : undefined;
    const deadline = call.deadline.within(limits.ledgerMs, credential.made === 'target' ? limits.undoMs : 0);
    try {
      return await book.append(write(pass), deadline, { epoch: decision.epoch, once });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.code === 'replayed') throw await gate.denied(call, identity, 'replayed', call.credential);
      if (error.code === 'denied') throw await gate.denied(call, identity, error.reason, call.credential);
      throw error;
    }
  }

  /** Ends at the target what may have been made there; false when it is not known to be gone. */
  async function undo(pass: Pass): Promise<boolean> {
    const account = accountOf(pass);
    if (pass.credential.made !== 'target' || account === undefined) return true;
    try {
      await pass.credential.undo(account, pass.call.deadline.within(limits.undoMs));
      return true;
    } catch (error) {
      deps.unsettled(pass.request.id);
      const reason = error instanceof Refusal ? error.reason : 'internal';
      deps.log('error', 'undo_failed', {
        ...causeOf(pass.call),
        issuance: pass.request.id,
        credential: pass.configured.name,
        reason,
      });
      return false;
    }
  }

  async function recordFailure(pass: Pass, reason: string): Promise<void> {
    const { call, credential, request } = pass;
    const entry = writePass(book, policy.hash, pass, 'failure', { issuance: request.id, reason });
    await book.append(entry, ledgerTime(call), { epoch: pass.decision.epoch }).catch((error) => {
      if (credential.made === 'target') deps.unsettled(request.id);
      throw error;
    });
  }

  const ledgerTime = (call: Call): Deadline => call.deadline.within(limits.ledgerMs);

  return {
    issue,
    summarise: gate.summarise,
    async revoke(call) {
      const identity = await gate.verify(call);
      return deps.revoker.revoke({ ...call, identity });
    },
    async explain(call) {
      const identity = await gate.verify(call);
      return policy.explain(identity, call.credential, book.lockdowns, deps.now(), call.values);
    },
    async permit(call, permission) {
      const identity = await gate.verify(call);
      return { identity, decision: await gate.permit(call, identity, permission) };
    },
    async recordRead(call, identity, query, items) {
      const subject = subjectOf(identity, identity.disclosed, { query: { ...query }, address: call.address });
      const facts = { ...causeOf(call), query: toBase64Url(sha256(canonicalJson({ ...query }))), items };
      // Asked again: a lockdown that came while the log was read stops the answer.
      const append = async () => {
        const { epoch } = await gate.permit(call, identity, 'audit:read');
        await book.append(book.write('read', facts, subject), ledgerTime(call), { epoch });
      };
      await append()
        .catch((error) => (codeOf(error) === 'stale' ? append() : Promise.reject(error)))
        .catch(refuseStale);
    },
  };
}

const codeOf = (error: unknown): string => (error instanceof Refusal ? error.code : 'internal');

/** Only writers hear that they are stale. */
function refuseStale(error: unknown): never {
  throw codeOf(error) === 'stale' ? new Refusal('ledger_unavailable', 'stale_twice', { retryAfter: 1 }) : error;
}

const isUnknownOutcome = (error: unknown): boolean =>
  codeOf(error) === 'internal' || codeOf(error) === 'ledger_unavailable';
