import { randomBytes } from 'node:crypto';
import type { Broker, ErasureAsked, IssueCall, IssueOptions, LockdownAsked } from '../../src/broker.ts';
import type { Deployment } from '../../src/config/deployment.ts';
import { exchangeTargets } from '../../src/config/sections/targets.ts';
import { createApp } from '../../src/http/app.ts';
import type { AppendRequest, Ledger, LogReader, PlacedEntry } from '../../src/ledger/ledger.ts';
import type { WriterRights } from '../../src/ledger/records/writer.ts';
import { canonicalJson } from '../../src/lib/canonical-json.ts';
import type { Identity } from '../../src/lib/identity.ts';
import { createMetrics } from '../../src/lib/metrics.ts';
import { jsonLines } from '../../src/lib/operator-log.ts';
import type { Platform, Runtime } from '../../src/lib/platform.ts';
import { Refusal } from '../../src/lib/refusal.ts';

/** What a caller says instead of a token here: nothing is verified, everything is obviously fake. */
export const tokens = {
  workload: 'fake-workload',
  auditor: 'fake-auditor',
  writer: 'fake-writer',
  nobody: 'fake-nobody',
} as const;
export const canary = 'canary-value-that-must-not-be-logged';
export const leaseId = '01jd9m00000000000000000000';

const receipt = {
  log: 'pass.example.com/ledger',
  index: 41,
  record: '{}',
  proof: 'c2sp.org/tlog-proof@v1\nindex 41\n',
};

const lockdown = {
  id: leaseId,
  state: 'in_force',
  match: { issuer: 'ci' },
  reason: 'a drill',
  epoch: 1,
  at: '2026-11-22T12:00:00.000Z',
  by: 'ci:auditor',
  log: receipt.log,
  index: 41,
} as const;

function identityOf(call: { readonly token?: string }): Identity {
  const who = Object.entries(tokens).find(([, token]) => token === call.token)?.[0];
  if (who === undefined)
    throw new Refusal('token_invalid', 'bad_signature', { detail: 'must not be seen', facts: { issuer: 'ci' } });
  return {
    issuer: 'ci',
    iss: `https://${who}.example.com`,
    subject: who,
    claims: {},
    name: `ci:${who}`,
    members: {},
    disclosed: {},
  };
}

export interface Seen {
  readonly issues: (IssueCall & { got?: IssueOptions })[];
  readonly reads: { query: object; items: number }[];
  readonly lockdowns: LockdownAsked[];
  readonly lifted: object[];
  readonly erasures: ErasureAsked[];
  readonly appends: { request: AppendRequest; writer: WriterRights }[];
}

export interface FakeOptions {
  readonly url?: string;
  readonly runtime?: Runtime;
  readonly deployment?: Partial<Deployment>;
  readonly broker?: Partial<Broker>;
  readonly ledger?: Partial<Ledger>;
  readonly limits?: Partial<Deployment['limits']>;
}

const fakeBroker = (seen: Seen): Broker => ({
  epoch: 0,
  summarise: async () => {},
  async issue(call) {
    const { subject } = identityOf(call);
    if (subject !== 'workload' || !['orders-db', 'partner'].includes(call.credential))
      throw new Refusal('denied', 'no_grant', { detail: 'must not be seen' });
    seen.issues.push({ ...call, got: await call.options() });
    const isToken = call.credential === 'partner';
    return {
      id: leaseId,
      credential: call.credential,
      kind: isToken ? 'jwt' : 'secret',
      data: isToken ? { token: canary, tokenType: 'Bearer' } : { value: canary },
      lease: { expiresAt: '2026-11-22T12:10:00Z', ttl: 600, revocable: false, renewable: false, handle: 'hpl_AQ' },
      receipt,
    };
  },
  async issueAll(call) {
    if (identityOf(call).subject !== 'workload') throw new Refusal('denied', 'no_grant');
    return [];
  },
  async showLease({ id }) {
    if (id !== leaseId) throw new Refusal('not_found', 'lease_not_found');
    const lease = { expiresAt: '2026-11-22T12:10:00Z', state: 'active', revocable: false } as const;
    return { id, credential: 'orders-db', kind: 'secret', lease };
  },
  async renewLease(call) {
    identityOf(call);
    if (call.id !== leaseId) throw new Refusal('not_found', 'lease_not_found');
    const lease = { expiresAt: '2026-11-22T12:10:00Z', ttl: 600, revocable: true, renewable: true };
    return { id: leaseId, credential: 'orders-db', kind: 'postgres', lease, receipt };
  },
  async revoke(call) {
    identityOf(call);
    if (call.id !== leaseId) throw new Refusal('not_found', 'other_identity');
    return 'done';
  },
  async addLockdown(call) {
    if (identityOf(call).subject !== 'auditor') throw new Refusal('denied', 'no_grant');
    const asked = await call.asked();
    seen.lockdowns.push(asked);
    if (asked.dryRun === true) return { dryRun: true };
    return { lockdown: { ...lockdown, match: asked.match, reason: asked.reason }, index: 41, epoch: 1, receipt };
  },
  async listLockdowns(call, all) {
    if (identityOf(call).subject !== 'auditor') throw new Refusal('denied', 'no_grant');
    return all ? [lockdown, { ...lockdown, state: 'expired' }] : [lockdown];
  },
  async liftLockdown(call) {
    if (identityOf(call).subject !== 'auditor') throw new Refusal('denied', 'no_grant');
    seen.lifted.push(await call.asked());
    if (call.id !== leaseId) throw new Refusal('not_found', 'no_lockdown');
    return { lockdown: { ...lockdown, state: 'lifted' }, index: 42, epoch: 2, receipt };
  },
  async revokeLocked(call) {
    if (identityOf(call).subject !== 'auditor') throw new Refusal('denied', 'no_grant');
    const { cursor, since } = await call.asked();
    const about = { credential: 'orders-db', kind: 'postgres', expiresAt: '2026-11-22T12:10:00Z' };
    const outcome = since === 60 ? 'lives_on' : 'done';
    return { items: [{ ...about, id: leaseId, outcome }], ...(cursor === undefined && { next: '0.7' }) };
  },
  async explain(call) {
    identityOf(call);
    return { decision: 'deny', nearest: [{ grant: 'near', member: 'namespace' }] };
  },
  async permit(call, permission) {
    const identity = identityOf(call);
    const may =
      (identity.subject === 'auditor' &&
        (permission === 'audit:read' ||
          permission === 'audit:trace' ||
          permission === 'leases:revoke' ||
          permission === 'secrets:rotate')) ||
      (identity.subject === 'writer' && permission.startsWith('ledger:'));
    if (!may) throw new Refusal('denied', 'no_grant');
    const role = {
      name: 'r',
      credentials: [],
      permissions: [permission],
      mint: permission === 'ledger:append' ? ['partner'] : [],
    };
    return {
      identity,
      decision: { allow: true, grant: 'g', role, terms: { once: false, tokenLife: false, claims: [] } },
    };
  },
  async erase(call) {
    const identity = identityOf(call);
    if (identity.subject !== 'auditor') throw new Refusal('denied', 'no_grant');
    const { place, ...asked } = await call.asked(identity);
    seen.erasures.push({ ...asked, place });
    const kept = { hold: 0, min: 0, live: 0, lockdown: 0, own: 1 };
    return { erased: 2, kept, seen: 64, size: 100, ...(place === undefined && { next: { shard: 0, position: 64 } }) };
  },
  async permitOn() {},
  async recordRead(_call, _identity, query, items) {
    seen.reads.push({ query, items });
  },
});

const disclosure = Buffer.from(JSON.stringify(['c2FsdA', { name: 'ci:workload' }])).toString('base64url');

export const fakeEntry = (index: number): PlacedEntry => ({
  index,
  leaf: index,
  log: receipt.log,
  record: canonicalJson({ v: 1, type: 'issuance', id: leaseId, time: '2026-11-22T12:00:00.000Z' }),
  disclosure: index % 2 === 0 ? disclosure : null,
});

const fakeReader = (size: number): LogReader => ({
  head: async () => ({
    generation: 1,
    base: 0,
    ended: [],
    size,
    range: [],
    root: new Uint8Array(32),
    epoch: 0,
    checkpoint: '',
  }),
  entries: async (from, to) =>
    Array.from({ length: Math.max(0, Math.min(to, size) - from) }, (_, at) => fakeEntry(from + at)),
  checkpoint: async () => `pass.example.com/ledger\n${size}\nAAAA\n\n`,
  async list({ before = size, limit }) {
    const indices = Array.from({ length: size }, (_, index) => index)
      .filter((index) => index < before)
      .reverse();
    return indices.slice(0, limit).map(fakeEntry);
  },
  story: async (id) => (id === leaseId ? [{ ...fakeEntry(2), proof: receipt.proof }] : []),
  tile: async (_level, n, width) => (n === 0 && width <= size ? new Uint8Array(32 * width) : undefined),
  bundle: async (n, width) => (n === 0 && width <= size ? new Uint8Array(width) : undefined),
  succession: async () => [],
  copy: async () => undefined,
});

const fakeLedger = (seen: Seen): Ledger => ({
  origin: receipt.log,
  append: async () => ({ receipts: [], minted: [] }),
  async accept(request, writer) {
    seen.appends.push({ request, writer });
    return {
      receipts: request.entries.map(({ record }, at) => ({ ...receipt, index: at, record })),
      minted: request.entries.map(() => null),
    };
  },
  issuance: async (id) => (id === leaseId ? [fakeEntry(2)] : []),
  pending: async () => [fakeEntry(3)],
  key: async () => 'pass.example.com/ledger+00000000+AAAA',
  ready: async () => {},
  keys: async () => ({ assertions: [] }),
  reader: fakeReader(5),
  texts: { read: async () => undefined, write: async () => true },
  roll: async () => ({ log: `${receipt.log}~2`, generation: 2, done: true }),
  claim: async () => {},
  close: async () => {},
});

/** An app over a deployment that is plainly fake, with everything it was asked and every line it logged. */
export function fakeApp(options: FakeOptions = {}) {
  const seen: Seen = { issues: [], reads: [], erasures: [], appends: [], lockdowns: [], lifted: [] };
  const lines: string[] = [];
  const metrics = createMetrics();
  const platform: Platform = {
    runtime: options.runtime ?? 'node',
    now: Date.now,
    random: (bytes) => randomBytes(bytes),
    fetch: () => Promise.reject(new Error('no network here')),
    log: jsonLines((line) => void lines.push(line), Date.now),
    env: {},
    instance: 'test',
  };
  const deployment: Deployment = {
    url: options.url ?? 'https://pass.example.com',
    broker: { ...fakeBroker(seen), ...options.broker },
    ledger: { ...fakeLedger(seen), ...options.ledger },
    openStore: () => Promise.reject(new Error('no stores here')),
    recordStoreWrite: async () => {},
    rotate: async (credential) => ({ credential, version: '2', previous: '1' }),
    limits: {
      tokenBytes: 16_384,
      bodyBytes: 16_384,
      openRequests: 1_000,
      requestMs: 15_000,
      jwksMs: 2_000,
      storeMs: 5_000,
      mintMs: 10_000,
      ledgerMs: 2_000,
      undoMs: 2_000,
      ...options.limits,
    },
    targets: exchangeTargets({
      'orders-db': { kind: 'secret' },
      partner: { kind: 'jwt', resource: 'https://api.partner.example/v1' },
      'not-granted': { kind: 'jwt', resource: 'urn:example:not-granted' },
    }),
    explain: 'names',
    publicLog: false,
    keys: async () => ({
      assertions: [{ kid: 'a', alg: 'ES256', kty: 'EC' }],
      workloads: [{ kid: 'w', alg: 'ES256', kty: 'EC' }],
    }),
    fingerprints: async (value) => [{ fingerprint: `hmac-sha256:${value.length}`, fingerprintKey: 'fake' }],
    cursorKey: async () => new Uint8Array(32),
    ready: async () => {},
    cosigned: async () => 'fake cosigned\n',
    recover: async () => {},
    sweep: async (_, orphans) => ({
      undone: 1,
      failed: [{ id: leaseId, credential: 'orders-db', reason: 'unreachable' }],
      unrevoked: 1,
      orphans: [
        { credential: 'orders-db', issuance: leaseId, account: `hp_${leaseId}`, state: 'over', removed: orphans },
      ],
    }),
    unrevoked: async (_, after) => ({
      items: [
        {
          id: leaseId,
          credential: 'orders-db',
          kind: 'postgres',
          account: `hp_${leaseId}`,
          expiresAt: '2026-11-22T12:00:00Z',
          reason: 'requested',
          since: '2026-11-22T11:58:00.000Z',
          failed: { reason: 'unreachable', at: '2026-11-22T12:00:00Z', tries: 3 },
        },
      ],
      ...(after === undefined && { next: 41 }),
    }),
    metrics,
    close: async () => {},
    ...options.deployment,
  };
  return { app: createApp(deployment, platform), platform, deployment, metrics, seen, lines };
}

export const bearer = (who: keyof typeof tokens) => ({ authorization: `Bearer ${tokens[who]}` });

/** A token exchange that succeeds here. */
export const exchangeParameters = {
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token: tokens.workload,
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  audience: 'partner',
};
