import { randomBytes } from 'node:crypto';
import { type Broker, createBroker, type IssueCall } from '../../src/broker.ts';
import type { ConfiguredCredential, Credential } from '../../src/credentials/kind.ts';
import { openHandles } from '../../src/leases/handle.ts';
import { openRevoker } from '../../src/leases/revoke.ts';
import { openSweeper, type Sweeper, type SweeperDeps } from '../../src/leases/sweep.ts';
import { openUnsettled } from '../../src/leases/unsettled.ts';
import { openSqliteLedger } from '../../src/ledger/drivers/sqlite/open.ts';
import { openBook } from '../../src/ledger/erasure/book.ts';
import type { AppendRequest, Ledger } from '../../src/ledger/ledger.ts';
import { type LedgerRecord, parseRecord } from '../../src/ledger/records/record.ts';
import { openSharded } from '../../src/ledger/shards/shards.ts';
import { sha256 } from '../../src/lib/bytes.ts';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import type { Identity } from '../../src/lib/identity.ts';
import type { Lockdown } from '../../src/lib/lockdown.ts';
import { createMetrics, type Metrics } from '../../src/lib/metrics.ts';
import type { Platform } from '../../src/lib/platform.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { Secret } from '../../src/lib/secret.ts';
import { fits } from '../../src/policy/lockdown.ts';
import type { Decision, Policy, Terms } from '../../src/policy/policy.ts';
import { temporaryFolder } from '../support/server.ts';

export const secretValue = 'correct-horse-not-a-real-secret';
export const identity: Identity = {
  issuer: 'ci',
  iss: 'https://issuer.test',
  subject: 'svc:checkout',
  claims: {},
  name: 'ci:svc:checkout',
  members: {},
  token: 'A'.repeat(43),
  disclosed: {},
};

/** A target system in memory: what was made there, what of it is left. */
export interface Target {
  readonly made: string[];
  readonly alive: Set<string>;
  makeFails?: 'before' | 'after';
  /** What the store of `stripe-key` says. */
  readFails?: Refusal;
  /** Takes its time of what there is to fetch `a-token`. */
  fetching?: (deadline: Deadline) => void;
  undoFails?: boolean | ((account: string) => boolean);
  /** How often ending something was tried. */
  undos: number;
  /** Of what is only fetched (`a-token`): what was and was not ended since. */
  readonly fetched: Set<string>;
  /** Handed over besides. */
  extra?: Record<string, unknown>;
  /** When what was made ends at the target, by its renewals, milliseconds. */
  readonly renewed: Map<string, number>;
  /** What a renewal waits for on its way there. */
  onRenewal?: ((expiresAt: number) => Promise<void>) | undefined;
}

/** When the nth append (from 0) of a type meets a fault: not persisted, or persisted but reported failed. */
export type Fault = { type: LedgerRecord['type']; how: 'refused' | 'lost-reply' } | undefined;

export interface House {
  readonly broker: Broker;
  readonly sweeper: Sweeper;
  /** The sweeper of another process on the same ledger. */
  otherSweeper(more?: Partial<SweeperDeps>): Sweeper;
  readonly ledger: Ledger;
  /** Those of the config, by name. */
  readonly credentials: Map<string, ConfiguredCredential>;
  readonly target: Target;
  readonly appended: LedgerRecord[];
  fault: Fault;
  lockdowns: (request: AppendRequest, deadline: Deadline) => Refusal | undefined;
  /** What the sweeper hears of what is pending; default: what the log says. */
  pending: Ledger['pending'];
  clock: { ms: number };
  decide: (lockdowns: readonly Lockdown[]) => Decision;
  /** Default: as `decide` says without lockdowns. */
  permit?: (lockdowns: readonly Lockdown[]) => Decision;
  /** What the sweeper counted. */
  readonly metrics: Metrics;
  /** Names of what was counted. */
  readonly counted: readonly string[];
  /** What the caller is besides. */
  identity: Partial<Identity>;
  call(credential: string): IssueCall;
  records(): Promise<LedgerRecord[]>;
  close(): Promise<void>;
}

const terms: Terms = { ttl: 600, once: false, tokenLife: false, claims: [] };
const limits = { requestMs: 15_000, ledgerMs: 2_000, storeMs: 5_000, mintMs: 10_000, undoMs: 2_000 };

export interface HouseOptions {
  readonly shards?: number;
  /** Shards that answer nothing but ledger_unavailable, for as long as they are in it. */
  readonly away?: ReadonlySet<number>;
}

/** A broker over a real sqlite ledger that can be made to fail, a target in memory and a policy that says what it is told. */
export async function openHouse({ shards, away }: HouseOptions = {}): Promise<House> {
  const { folder, remove } = temporaryFolder();
  const clock = { ms: Date.now() };
  const now = () => clock.ms;
  const random = (bytes: number) => new Uint8Array(randomBytes(bytes));
  const platform: Platform = {
    runtime: 'node',
    now,
    random,
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    folder,
    instance: 'test',
  };
  const writer = { name: 'https://pass.test', instance: 'test', version: '0' };
  const secrets = { checkpointKey: random(32), keys: { assertions: [] } };
  const openLog = (path: string, origin: string) =>
    openSqliteLedger({ kind: 'sqlite', path }, { platform, origin, writer, secrets });
  const origin = 'pass.test/ledger';
  const real: Ledger =
    shards === undefined
      ? await openLog('ledger.db', origin)
      : await openSharded({
          origin,
          count: shards,
          open: async (shard, named) =>
            unlessAway(await openLog(`${shard}.db`, named), () => away?.has(shard) === true),
          now,
        });
  const target: Target = { made: [], alive: new Set(), fetched: new Set(), renewed: new Map(), undos: 0 };
  const appended: LedgerRecord[] = [];
  const house = {
    pending: real.pending,
    fault: undefined as Fault,
    lockdowns: (_: AppendRequest, __: Deadline): Refusal | undefined => undefined,
    decide: (_: readonly Lockdown[]): Decision => ({ allow: true, grant: 'checkout', terms }),
    permit: undefined as House['permit'],
    counted: [] as string[],
    identity: {} as Partial<Identity>,
  };
  const ledger: Ledger = {
    ...real,
    pending: (state, deadline, filter) => house.pending(state, deadline, filter),
    async append(request, deadline) {
      const record = parseRecord(request.entries[0]?.record ?? '');
      const stale = house.lockdowns(request, deadline);
      if (stale !== undefined) throw stale;
      const met = house.fault?.type === record.type ? house.fault : undefined;
      if (met?.how === 'refused') throw new Refusal('ledger_unavailable', 'down');
      const result = await real.append(request, deadline);
      if (met?.how === 'lost-reply') throw new Refusal('ledger_unavailable', 'lost');
      appended.push(record);
      return result;
    },
  };
  const policy: Policy = {
    hash: `sha256:${'A'.repeat(43)}`,
    grants: 1,
    credentials: 2,
    decide: (_, __, lockdowns) => house.decide(lockdowns),
    permits: (_, __, lockdowns) => house.permit?.(lockdowns) ?? house.decide([]),
    explain: (_, __, lockdowns) => ({ decision: house.decide(lockdowns).allow ? 'allow' : 'deny', nearest: [] }),
    covers: (match, { issuer, name, grant, credential, store }) =>
      fits(match, {
        issuer,
        name,
        grant,
        roles: ['checkout'],
        credential,
        stores: store === undefined ? [] : [store],
      }),
    longestTtl: 600,
  };
  const credentials = new Map<string, ConfiguredCredential>(
    Object.entries({
      'stripe-key': ['secret', stored(target)],
      'orders-db': ['postgres', made(target)],
      'second-db': ['postgres', made(target)],
      'a-token': ['github-token', fetched(target)],
    } as const).map(([name, [kind, credential]]) => [name, { name, kind, open: async () => credential }]),
  );
  const book = openBook({ ledger, policy, writer, now, random });
  const common = { book, ledger, policy, limits, credentials, log: platform.log, now };
  const unsettled = openUnsettled();
  const metrics = createMetrics();
  const sweeping: SweeperDeps = { ...common, writer: writer.name, unsettled, metrics, random };
  const sweeper = openSweeper(sweeping);
  const otherSweeper = (more?: Partial<SweeperDeps>) =>
    openSweeper({
      ...sweeping,
      book: openBook({ ledger, policy, writer: { ...writer, instance: 'other' }, now, random }),
      unsettled: openUnsettled(),
      metrics: createMetrics(),
      ...more,
    });
  const broker = createBroker({
    ...common,
    verify: async (token) => {
      if (token === 'other') return { ...identity, subject: 'svc:other', name: 'ci:svc:other', token: 'B'.repeat(43) };
      if (token !== 'good') throw new Refusal('token_invalid', 'signature', { facts: { issuer: 'ci' } });
      return { ...identity, ...house.identity };
    },
    verifyBinding: () => {
      throw new Refusal('token_invalid', 'binding');
    },
    revoker: openRevoker(common),
    fingerprint: async () => ({ fingerprint: `hmac-sha256:${'A'.repeat(43)}`, fingerprintKey: 'AAAAAAAAAAA' }),
    handles: async () => openHandles([{ handle: sha256('handle'), identity: sha256('identity') }], random),
    unsettled: unsettled.remember,
    count: (name) => void house.counted.push(name),
    names: {
      issuer: ['ci'],
      grant: ['checkout'],
      role: ['checkout'],
      credential: ['stripe-key', 'orders-db', 'second-db', 'a-token'],
      store: ['here'],
    },
  });
  return Object.assign(house, {
    broker,
    sweeper,
    otherSweeper,
    metrics,
    ledger: real,
    credentials,
    target,
    appended,
    clock,
    call: (credential: string): IssueCall => ({
      token: 'good',
      credential,
      request: 'req',
      deadline: deadlineIn(15_000, now),
      options: async () => ({}),
    }),
    records: async () => {
      const logs = real.shards ?? [real];
      const all = await Promise.all(
        logs.map(async ({ reader }) => (await reader?.list({ limit: 1_000 }, deadlineIn(2_000, now))) ?? []),
      );
      return all.flatMap((entries) => entries.map(({ record }) => parseRecord(record)).reverse());
    },
    close: async () => {
      await real.close();
      remove();
    },
  });
}

/** A log whose every method refuses while it is away. */
function unlessAway<T extends object>(log: T, isAway: () => boolean): T {
  const refuse = () => Promise.reject(new Refusal('ledger_unavailable', 'away'));
  return new Proxy(log, {
    get(of, member) {
      const value: unknown = Reflect.get(of, member);
      if (member === 'close') return value;
      if (member === 'reader') return unlessAway(value as object, isAway);
      return typeof value === 'function' ? (...given: unknown[]) => (isAway() ? refuse() : value(...given)) : value;
    },
  });
}

const stored = (target: Target): Credential => ({
  made: 'read',
  async read() {
    if (target.readFails !== undefined) throw target.readFails;
    const about = { store: 'here', version: '1' };
    return { data: { value: secretValue, version: '1' }, fingerprinted: new Secret(secretValue), ...about };
  },
});

const fetched = (target: Target): Credential => ({
  made: 'read',
  async read({ id, deadline }) {
    target.fetching?.(deadline);
    target.fetched.add(id);
    return { data: { token: secretValue }, fingerprinted: new Secret(secretValue), kept: id };
  },
  async end({ kept }, deadline) {
    if (kept === undefined) return false;
    // It takes its time.
    if (deadline.left() < 500) throw new Refusal('store_timeout', 'slow');
    if (target.undoFails === true) throw new Refusal('store_failed', 'refused');
    target.fetched.delete(kept);
    return true;
  },
  life: 3600,
});

const made = (target: Target): Credential => ({
  made: 'target',
  account: (issuance) => `hp_${issuance}`,
  async make({ id }) {
    if (target.makeFails === 'before') throw new Refusal('store_failed', 'refused');
    target.made.push(`hp_${id}`);
    target.alive.add(`hp_${id}`);
    if (target.makeFails === 'after') throw new Refusal('store_timeout', 'slow');
    return {
      data: { username: `hp_${id}`, password: secretValue, ...target.extra },
      fingerprinted: new Secret(secretValue),
    };
  },
  async renew({ account = '' }, expiresAt) {
    await target.onRenewal?.(expiresAt);
    if (!target.alive.has(account)) throw new Refusal('store_failed', 'gone');
    target.renewed.set(account, expiresAt);
  },
  async undo({ issuance, account = `hp_${issuance}` }) {
    target.undos++;
    // As a network does: what is asked at the same time overtakes each other.
    await new Promise(setImmediate);
    const fails = typeof target.undoFails === 'function' ? target.undoFails(account) : target.undoFails;
    if (fails) throw new Refusal('store_failed', 'refused');
    target.alive.delete(account);
  },
  accounts: async () => [...target.alive].map((account) => ({ issuance: account.slice(3), account })),
});
