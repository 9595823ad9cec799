import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { kinds } from '../../src/credentials/index.ts';
import type { Credential, Issued, IssueRequest, KindDeps, Lease, MintFacts } from '../../src/credentials/kind.ts';
import { sha256 } from '../../src/lib/bytes.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { Identity } from '../../src/lib/identity.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import * as s from '../../src/lib/schema/index.ts';
import { Secret } from '../../src/lib/secret.ts';
import { instant } from '../../src/lib/time.ts';
import { newUlid } from '../../src/lib/ulid.ts';

export const workloadsIssuer = 'https://pass.example.com/workloads';

export const identity: Identity = {
  issuer: 'ci',
  iss: 'https://ci.example.com',
  subject: 'repo:acme/shop',
  claims: { iss: 'https://ci.example.com', sub: 'repo:acme/shop', repository: 'acme/shop' },
  name: 'ci:acme/shop',
  members: {},
  disclosed: {},
};

/** What a token could carry to break out of a name, a statement, a URL or a line. */
export const hostileSubjects: readonly string[] = [
  `'; DROP ROLE postgres; --`,
  '"; DROP DATABASE postgres; --',
  '$$; SELECT pg_sleep(60); $$',
  '../../etc/passwd',
  '*',
  'repo:acme/shop:%0a',
  '@host/db?x=y#z',
  '{{ claims.repository }}',
  'A'.repeat(255),
  '\x24{process.env.HOME}',
  '{{ subject }}',
];

/** What no token's subject may hold, but a claim or a name made of claims could: a template may refuse it, aloud. */
export const hostileClaims: readonly string[] = [
  'a\u0000b',
  "a\r\nDROP ROLE postgres; --'",
  '\u202egnp.exe',
  '\u2028',
  'Ω'.repeat(255),
  '',
];

export function requestFor(more: Partial<IssueRequest> = {}): IssueRequest {
  const now = Date.now();
  const ttl = more.ttl ?? 600;
  const expiresAt = (Math.floor(now / 1000) + ttl) * 1000;
  const id = newUlid(now, randomBytes);
  return { id, credential: 'it', identity, now, ttl, expiresAt, deadline: deadlineIn(10_000, Date.now), ...more };
}

/** What the ledger's side knows of the issuance, as the broker's record and disclosure say it. */
export const factsFor = (request: IssueRequest, time = request.now): MintFacts => ({
  issuance: request.id,
  credential: request.credential,
  time,
  lease: { expiresAt: instant(request.expiresAt), ttl: request.ttl },
  identity: request.identity,
});

export const depsFor = (values: Readonly<Record<string, string | Uint8Array>> = {}): KindDeps => ({
  async read({ name, store }) {
    const value = values[name];
    if (value === undefined) throw new Refusal('store_failed', 'absent');
    return { value: new Secret(value), version: '3', store };
  },
  now: Date.now,
  random: (bytes) => randomBytes(bytes),
  workloadsIssuer,
  runtime: 'node',
  env: {},
  fetch: (url, init) => fetch(url, init),
  log: () => {},
  name: 'it',
  derive: async (purpose) => sha256('a secret of the tests', purpose),
});

/** A config entry of some kind. */
export type Entry = { readonly kind: string } & Readonly<Record<string, unknown>>;

/** Opens a kind as a config does: through the catalog, by the schema. */
export async function openKind(entry: Entry, deps: KindDeps = depsFor()): Promise<Credential> {
  const plugIn = kinds.find(({ name }) => name === entry.kind);
  if (plugIn === undefined) throw new Error('not in the catalog');
  const config = s.parse(plugIn.schema as s.Schema, entry);
  expect(plugIn.check?.(config) ?? []).toEqual([]);
  return (await plugIn.load()).open(config, deps);
}

/** The messages of what is wrong with a config entry, by its schema or its check; empty when it is fine. */
export function faultsOf(entry: Entry): string[] {
  const plugIn = kinds.find(({ name }) => name === entry.kind);
  const parsed = s.safeParse(plugIn?.schema as s.Schema, entry);
  if (!parsed.success) return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  return (plugIn?.check?.(parsed.data) ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

export async function refusalOf(work: Promise<unknown> | (() => unknown)): Promise<Refusal> {
  const error = await Promise.resolve()
    .then(() => (typeof work === 'function' ? work() : work))
    .then(
      () => new Error('it was not refused'),
      (thrown: unknown) => thrown,
    );
  if (!(error instanceof Refusal)) throw error;
  return error;
}

export interface KindFixture {
  readonly entry: Entry;
  readonly deps: KindDeps;
}

/**
 * What every kind must do. `members` are those of its `data`, `fingerprinted` the one the fingerprint covers; `alike` where
 * two at one moment may be handed the same, `unlisted` where a fake of the target keeps no list of what was made.
 */
export function describeKind(
  name: string,
  said: {
    readonly members: readonly string[];
    readonly fingerprinted?: string;
    readonly alike?: true;
    readonly unlisted?: true;
  },
  make: () => Promise<KindFixture>,
): void {
  describe(`${name} keeps the kind contract`, () => {
    const opened = async () => {
      const { entry, deps } = await make();
      return { credential: await openKind(entry, deps), entry, deps };
    };

    it('says in the catalog how it is made, as the opened credential does', async () => {
      const { credential, entry } = await opened();
      expect(credential.made).toBe(kinds.find((kind) => kind.name === entry.kind)?.made);
    });

    it('says in the catalog where what it makes is ended, if it is: its entry may name another target by then', async () => {
      const { credential, entry } = await opened();
      const isEnded = credential.made === 'target' || (credential.made === 'read' && credential.end !== undefined);
      expect(kinds.find((kind) => kind.name === entry.kind)?.places !== undefined).toBe(isEnded);
    });

    it('hands over exactly the members the API names, and fingerprints the right one', async () => {
      const { credential, entry } = await opened();
      const issued = await issue(credential, requestFor());
      expect(Object.keys(issued.data).sort()).toEqual([...said.members].sort());
      const exchange = kinds.find((kind) => kind.name === entry.kind)?.exchange;
      if (exchange !== undefined) expect(issued.data[exchange.member]).toEqual(expect.any(String));
      const covered = said.fingerprinted === undefined ? undefined : issued.data[said.fingerprinted];
      expect(issued.fingerprinted?.revealText()).toBe(covered);
    });

    it.each(hostileSubjects)('takes the subject %j for a subject', async (subject) => {
      const { credential } = await opened();
      const request = requestFor({ identity: { ...identity, subject, claims: { ...identity.claims, sub: subject } } });
      expect(Object.keys((await issue(credential, request)).data).sort()).toEqual([...said.members].sort());
    });

    it.each(hostileClaims)('takes %j in a claim or a name, or refuses it aloud', async (text) => {
      const { credential } = await opened();
      const claims = { ...identity.claims, repository: text };
      const request = requestFor({ identity: { ...identity, claims, name: `ci:${text}`, disclosed: claims } });
      const outcome = await issue(credential, request).catch((error) => error);
      if (outcome instanceof Refusal) expect([outcome.code, outcome.reason]).toEqual(['denied', 'template']);
      else if (outcome instanceof Error) throw outcome;
      else expect(Object.keys(outcome.data).sort()).toEqual([...said.members].sort());
    });

    it('is known at its target by what can be in a log and a record: plain, short, one for each, and no secret', async () => {
      const { credential } = await opened();
      const requests = [requestFor(), requestFor()];
      const issued: Issued[] = [];
      for (const request of requests) issued.push(await issue(credential, request));
      const accounts = requests.map((request, at) => leaseOf(credential, request, issued[at]).account);
      const shared = credential.made === 'target' && credential.account(requests[0]?.id ?? '') === undefined;
      for (const [at, account] of accounts.entries()) {
        if (account === undefined) continue;
        expect(account).toMatch(/^[\w.:/+=-]{1,256}$/);
        expect(account).not.toContain(issued[at]?.fingerprinted?.revealText() ?? '\n');
        expect(credential.account?.(requests[at]?.id ?? '') ?? account).toBe(account);
        expect(issued[at]?.kept?.length ?? 0).toBeLessThanOrEqual(8192);
      }
      if (accounts[0] !== undefined && !shared) expect(accounts[1]).not.toBe(accounts[0]);
    });

    it('gives two at the same time each their own', async () => {
      const { credential } = await opened();
      const requests = [requestFor(), requestFor()];
      const both = await Promise.all(requests.map((request) => obtain(credential, request)));
      await Promise.all(requests.map((request, at) => endAll(credential, request, both[at])));
      const isShared = credential.made === 'target' && credential.revocable === false;
      if (said.fingerprinted === undefined || said.alike || isShared) return;
      const [one, other] = both.map(({ fingerprinted }) => fingerprinted?.revealText());
      expect(one).not.toBe(other);
    });

    it('says of an end that it comes sooner only where it does, and is yet to come', async () => {
      const { credential } = await opened();
      const request = requestFor();
      const { expiresAt } = await issue(credential, request);
      if (expiresAt === undefined) return;
      expect(expiresAt).toBeLessThan(request.expiresAt);
      expect(expiresAt).toBeGreaterThan(request.now);
    });

    it('ends one again and again, and one that was never made', async () => {
      const { credential } = await opened();
      const request = requestFor();
      const issued = await obtain(credential, request);
      for (let time = 0; time < 3; time++) await endAll(credential, request, issued);
      const never = requestFor();
      if (credential.made === 'target') {
        await credential.undo(leaseOf(credential, never), never.deadline);
        await credential.undo({ issuance: never.id }, never.deadline);
      }
      if (credential.made === 'read')
        expect((await credential.end?.({ issuance: never.id }, never.deadline)) ?? false).toBe(false);
    });

    it('lists what its target has, where it can, until it is ended', async () => {
      const { credential } = await opened();
      if (credential.made !== 'target' || credential.accounts === undefined || said.unlisted) return;
      const request = requestFor();
      const has = async () =>
        (await credential.accounts?.(request.deadline))?.some(({ issuance }) => issuance === request.id);
      expect(await has()).toBe(false);
      const issued = await credential.make(request);
      if (credential.revocable !== false) expect(await has()).toBe(true);
      await credential.undo(leaseOf(credential, request, issued), request.deadline);
      if (credential.revocable !== false) expect(await has()).toBe(false);
    });

    it('tells the operator nothing of what it hands over', async () => {
      const { entry, deps } = await make();
      const lines: unknown[] = [];
      const log: KindDeps['log'] = (...line) => void lines.push(line);
      const issued = await issue(await openKind(entry, { ...deps, log }), requestFor());
      const text = JSON.stringify(lines);
      for (const value of [issued.fingerprinted?.revealText(), issued.kept])
        if (value !== undefined && value !== issued.account) expect(text).not.toContain(value);
    });

    it('refuses a config member nobody knows', async () => {
      const { entry } = await make();
      expect(faultsOf({ ...entry, sql: 'DROP' })).not.toEqual([]);
      expect(faultsOf(entry)).toEqual([]);
    });

    it('refuses a ttl that is no duration, or shorter than 30 s', async () => {
      const { entry } = await make();
      if (entry.kind === 'secret') return expect(faultsOf({ ...entry, ttl: '5m' })).not.toEqual([]);
      expect(faultsOf({ ...entry, ttl: '5m' })).toEqual([]);
      for (const ttl of ['29s', '5', '', '1.5m', '999999d', 300]) expect(faultsOf({ ...entry, ttl })).not.toEqual([]);
      expect((await openKind({ ...entry, ttl: '5m' })).maxTtl).toBe(300);
    });
  });
}

/** The lease as the ledger's record and the handle would tell it. */
export function leaseOf(credential: Credential, { id }: IssueRequest, issued?: Issued): Lease {
  const account = issued?.account ?? credential.account?.(id);
  const kept = issued?.kept;
  return { issuance: id, ...(account !== undefined && { account }), ...(kept !== undefined && { kept }) };
}

/** Issues one, and leaves it where it was made. */
async function obtain(credential: Credential, request: IssueRequest): Promise<Issued> {
  if (credential.made === 'read') return credential.read(request);
  if (credential.made === 'target') return credential.make(request);
  const { mint, finish, fingerprinted } = await credential.draft(request);
  credential.check(mint, factsFor(request));
  const signed = await credential.sign?.(mint, request.deadline);
  return { ...finish(signed ?? 'header.payload.signature'), ...(fingerprinted && { fingerprinted }) };
}

/** Ends one as its kind can. */
async function endAll(credential: Credential, request: IssueRequest, issued?: Issued): Promise<void> {
  const lease = leaseOf(credential, request, issued);
  if (credential.made === 'target') await credential.undo(lease, request.deadline);
  if (credential.made === 'read' && lease.kept !== undefined)
    expect(await credential.end?.(lease, request.deadline)).toBe(true);
}

/** Issues one, and ends what was made for it. */
async function issue(credential: Credential, request: IssueRequest): Promise<Issued> {
  const issued = await obtain(credential, request);
  if (credential.made === 'target') await endAll(credential, request, issued);
  return issued;
}
