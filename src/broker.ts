import { codeOf, oneLimit, refuseStale } from './broker/append.ts';
import {
  type BatchCall,
  type Call,
  causeOf,
  type IssueAnswer,
  type IssueCall,
  type IssueOptions,
} from './broker/call.ts';
import type { ErasureCalls } from './broker/erasures.ts';
import { type Allowed, type Decided, denyAlike, type Gate, type GateDeps, openGate } from './broker/gate.ts';
import { type HandingOverDeps, openHandingOver } from './broker/handing-over.ts';
import type { LeaseCalls } from './broker/leases.ts';
import type { KnownNames, LockdownCalls } from './broker/lockdowns.ts';
import type { Pass } from './broker/pass.ts';
import { openSeal } from './broker/seal.ts';
import { leaseTerms, untilInvocationEnds } from './broker/terms.ts';
import type { ConfiguredCredential, Credential } from './credentials/kind.ts';
import type { LeaseRevoker } from './leases/revoke.ts';
import { subjectOf } from './ledger/erasure/book.ts';
import type { RetentionRules } from './ledger/erasure/retain.ts';
import type { Ledger } from './ledger/ledger.ts';
import { sha256, toBase64Url } from './lib/bytes.ts';
import { canonicalJson } from './lib/canonical-json.ts';
import type { Deadline } from './lib/deadline.ts';
import type { Identity } from './lib/identity.ts';
import { Refusal } from './lib/refusal.ts';
import type { Explanation, Permission, Policy } from './policy/policy.ts';

export type { BatchCall, Call, IssueAnswer, IssueCall, IssueOptions } from './broker/call.ts';
export type { ErasureAsked, ErasurePlace } from './broker/erasures.ts';
export type { Allowed } from './broker/gate.ts';
export type { LeaseCall, LeaseView, RenewAnswer } from './broker/leases.ts';
export type { LockdownAsked } from './broker/lockdowns.ts';

export interface Broker extends LeaseCalls, LockdownCalls, ErasureCalls {
  /** verify -> decide -> (intent) -> read or mint -> record -> release. Rejects with a Refusal. */
  issue(call: IssueCall): Promise<IssueAnswer>;
  /** The same for several at once, all or nothing: what was made for a batch that failed is undone. */
  issueAll(call: BatchCall): Promise<readonly IssueAnswer[]>;
  /** With `values`, the near misses say what was compared (`broker.explain: values`). */
  explain(call: Call & { readonly credential: string; readonly values?: boolean }): Promise<Explanation>;
  /** Verifies the token and decides a permission, under an epoch no older than `known`; a denial is recorded. @throws Refusal */
  permit(
    call: Call,
    permission: Permission,
    known?: number | 'newest',
  ): Promise<{ readonly identity: Identity; readonly decision: Allowed }>;
  /** The same of an identity that was verified when its answer began, which may take longer than its token is good for. */
  permitOn(call: Call, identity: Identity, permission: Permission): Promise<void>;
  /** The newest lockdown epoch that this instance has heard of. */
  readonly epoch: number;
  /** Records the counts of tokens that did not verify, where a minute's are due. Never rejects. */
  summarise(deadline: Deadline): Promise<void>;
  /** Appends the `read` record of a query, asked by `audit:read` where nothing else is said. @throws Refusal ledger_unavailable: then there is no answer */
  recordRead(
    call: Call,
    identity: Identity,
    query: Readonly<Record<string, string | number>>,
    items: number,
    permission?: Permission,
  ): Promise<void>;
}

export interface BrokerDeps extends Omit<GateDeps, 'knows' | 'ledgerMs'>, Omit<HandingOverDeps, 'gate'> {
  readonly policy: Policy;
  readonly ledger: Pick<
    Ledger,
    'issuance' | 'reader' | 'shards' | 'texts' | 'erase' | 'index' | 'origin' | 'elsewhere' | 'ready'
  >;
  /** How long what is disclosed must be kept; default: not at all. */
  readonly retention?: RetentionRules;
  /** What a lockdown can name in this config. */
  readonly names: KnownNames;
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly revoker: LeaseRevoker;
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
  const handOver = openHandingOver({ ...deps, gate });

  async function issue(call: IssueCall): Promise<IssueAnswer> {
    const identity = await gate.verify(call);
    const decision = await gate.decide(call, identity, call.credential);
    const options = await optionsOf(call, identity, decision);
    const [answer] = await handOver([await prepare(call, identity, decision, options)]);
    return answer as IssueAnswer;
  }

  async function issueAll(batch: BatchCall): Promise<readonly IssueAnswer[]> {
    const identity = await gate.verify(batch);
    const { names, options } = await batch.asked();
    const calls = names.map((credential) => ({ ...batch, credential, options: async () => options }));
    const decided: { readonly call: IssueCall; readonly decision: Decided }[] = [];
    for (const call of calls) decided.push({ call, decision: await gate.decide(call, identity, call.credential) });
    const passes: Pass[] = [];
    for (const { call, decision } of decided)
      passes.push(await prepare(call, identity, decision, await optionsOf(call, identity, decision)));
    // Before anything is made: what is asked for together is appended together.
    oneLimit(passes);
    // Beside one that changes something outside, a token that is good for once is spent by an intent of each.
    const all = passes.some((pass) => pass.intended) && passes.some(({ decision }) => decision.terms.once);
    return handOver(all ? passes.map((pass) => ({ ...pass, intended: true })) : passes);
  }

  async function prepare(
    asked: IssueCall,
    identity: Identity,
    decision: Decided,
    options: IssueOptions,
  ): Promise<Pass> {
    const configured = credentials.get(asked.credential);
    if (configured === undefined) throw new Refusal('internal', 'credential_not_built');
    const credential = await configured.open();
    refuseBrought(credential, options);
    const now = deps.now();
    const call = untilInvocationEnds(asked, options, now);
    const lease = leaseTerms(decision.terms, credential.maxTtl, identity, options, now);
    const deadline = call.deadline.within(credential.made === 'read' ? limits.storeMs : limits.mintMs, limits.undoMs);
    const { ttl, expiresAt } = lease;
    const { csr, publicKey } = options;
    const request = {
      id: book.newId(),
      credential: call.credential,
      identity,
      now,
      expiresAt,
      ttl,
      deadline,
      ...(csr !== undefined && { csr }),
      ...(publicKey !== undefined && { publicKey }),
    };
    const seal = options.sealTo === undefined ? undefined : await openSeal(options.sealTo);
    const intended = credential.made === 'target';
    return { call, identity, decision, options, configured, credential, request, lease, seal, intended };
  }

  /** What was asked, once it is within the grant: one that pins a key gives nothing that is not sealed to it. */
  async function optionsOf(call: IssueCall, identity: Identity, { terms }: Decided): Promise<IssueOptions> {
    const options = await call.options().catch((error) => denyAlike(gate, call, identity, error));
    if (terms.sealTo !== undefined && terms.sealTo !== options.sealTo?.thumbprint)
      throw await gate.denied(call, identity, 'seal_key', call.credential);
    return options;
  }

  /** Loaded when first asked for: a start waits for what most calls need, and no more. */
  let leaseCalls: LeaseCalls | undefined;
  const leases = async (): Promise<LeaseCalls> => {
    const { openLeaseCalls } = await import('./broker/leases.ts');
    leaseCalls ??= openLeaseCalls({ ...deps, gate });
    return leaseCalls;
  };

  let lockdownCalls: LockdownCalls | undefined;
  const lockdowns = async (): Promise<LockdownCalls> => {
    const { openLockdownCalls } = await import('./broker/lockdowns.ts');
    lockdownCalls ??= openLockdownCalls({ ...deps, gate, recordRead });
    return lockdownCalls;
  };

  let erasureCalls: ErasureCalls | undefined;
  const erasures = async (): Promise<ErasureCalls> => {
    const { openErasureCalls } = await import('./broker/erasures.ts');
    erasureCalls ??= openErasureCalls({ ...deps, gate });
    return erasureCalls;
  };

  const recordRead: Broker['recordRead'] = async (call, identity, query, items, permission = 'audit:read') => {
    const subject = subjectOf(identity, identity.disclosed, { query: { ...query }, address: call.address });
    const facts = { ...causeOf(call), query: toBase64Url(sha256(canonicalJson({ ...query }))), items };
    // Asked again: a lockdown that came while the log was read stops the answer.
    const appendRead = async () => {
      const { epoch } = await gate.permit(call, identity, permission);
      await book.append(book.write('read', facts, subject), call.deadline.within(limits.ledgerMs), { epoch });
    };
    await appendRead()
      .catch((error) => (codeOf(error) === 'stale' ? appendRead() : Promise.reject(error)))
      .catch(refuseStale);
  };

  return {
    issue,
    issueAll,
    showLease: async (call) => (await leases()).showLease(call),
    renewLease: async (call) => (await leases()).renewLease(call),
    revoke: async (call) => (await leases()).revoke(call),
    addLockdown: async (call) => (await lockdowns()).addLockdown(call),
    listLockdowns: async (call, all) => (await lockdowns()).listLockdowns(call, all),
    liftLockdown: async (call) => (await lockdowns()).liftLockdown(call),
    revokeLocked: async (call) => (await lockdowns()).revokeLocked(call),
    erase: async (call) => (await erasures()).erase(call),
    summarise: gate.summarise,
    async explain(call) {
      const identity = await gate.verify(call);
      // It appends nothing, and hears of no lockdown by itself.
      await book.refresh(call.deadline);
      const explained = policy.explain(identity, call.credential, book.lockdowns, deps.now(), call.values);
      if (explained.decision === 'deny' || explained.grant === undefined) return explained;
      const credential = await credentials.get(call.credential)?.open();
      const member = credential?.made === 'signed' ? credential.unfilled?.(identity) : undefined;
      return member === undefined ? explained : { decision: 'deny', nearest: [{ grant: explained.grant, member }] };
    },
    get epoch() {
      return book.epoch;
    },
    async permit(call, permission, known) {
      const identity = await gate.verify(call);
      return { identity, decision: await gate.permit(call, identity, permission, known) };
    },
    async permitOn(call, identity, permission) {
      await gate.permit(call, identity, permission);
    },
    recordRead,
  };
}

/** What a request brings along is for kinds that sign it; no other ignores it. */
function refuseBrought({ takes = [] }: Credential, options: IssueOptions): void {
  for (const member of ['csr', 'publicKey'] as const)
    if (options[member] !== undefined && !takes.includes(member))
      throw new Refusal('invalid_request', 'not_taken', { detail: `This credential takes no ${member}.` });
}
