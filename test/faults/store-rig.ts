import { generateKeyPairSync } from 'node:crypto';
import { signJwt } from '../../src/keys/jwt.ts';
import { type PrivateKey, parsePrivateKey } from '../../src/keys/private-key.ts';
import { pick } from '../../src/lib/catalog.ts';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import { fetchTrusting } from '../../src/lib/pinned-fetch.ts';
import type { LogFacts } from '../../src/lib/platform.ts';
import * as s from '../../src/lib/schema/index.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import { writeAssertion } from '../../src/sessions/assertion.ts';
import type { AssertionTerms } from '../../src/sessions/session.ts';
import { stores as catalog } from '../../src/stores/index.ts';
import { openStores, type StoreEntry } from '../../src/stores/open.ts';
import type { Store } from '../../src/stores/store.ts';
import type { FakeAnswer, FakeFault, FakeServer } from '../fakes/server.ts';
import { type FakeKind, fakeShelves } from '../fakes/shelves.ts';
import { storesDeps } from '../stores/deps.ts';
import { openBroker } from '../support/broker.ts';
import { makeCertificate } from '../support/certificate.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';
import { type StoreFront, startFront } from './store-front.ts';

const url = 'https://pass.test';
const keys = {
  EC: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  RSA: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  }) as string,
};
const signers = Object.values(keys).map(parsePrivateKey);
const trusted = {
  issuer: url,
  subject: 'broker:pass.test',
  keys: signers.map(({ publicJwk }) => publicJwk as Record<string, string>),
};
const issuer = testIssuer('https://issuer.test', url);

/** Of the front when it speaks TLS as it should; the broker trusts no other. */
export const goodCertificate = makeCertificate();

/** What the ledger's side would have signed. */
async function signAssertion(store: string, terms: AssertionTerms): Promise<string> {
  const key = signers.find(({ alg }) => alg === terms.algorithms[0]) as PrivateKey;
  const iat = Math.floor(Date.now() / 1000);
  const request = { issuer: url, store, writer: url, session: 'test', iat, alg: key.alg };
  return signJwt(key, writeAssertion(terms, request).claims as JsonObject);
}

export interface Asked {
  /** Status and code. */
  readonly face: string;
  readonly retryAfter: string | null;
  /** All of it that a caller sees. */
  readonly seen: string;
}

/** A broker in this process with one store of one kind, at a fake that can be made to fail. */
export interface StoreRig {
  readonly server: FakeServer;
  readonly front: StoreFront;
  /** `store_failed` lines of the operator's log, and all of the log as text. */
  readonly failures: LogFacts[];
  readonly log: () => string;
  /** How far the broker's clock, and the workload's, is off, milliseconds. */
  readonly clock: { skew: number };
  /** Takes the place of answers: of those to a login, or of those after it. */
  fail(at: 'login' | 'read', fault: FakeAnswer | FakeFault | undefined): void;
  ask(): Promise<Asked>;
  /** Many callers at once, who all wait before the store answers the first; how many got which status. */
  crowd(size: number): Promise<Record<string, number>>;
  /** The same without the HTTP in front: many readers of the one secret. */
  readers(size: number): Promise<Record<string, number>>;
  /** The store itself, beside the broker. */
  store(): Promise<Store>;
  /** Calls so far that were no part of a login. */
  reads(): number;
  /** 'works' when the secret comes out; else what came instead. */
  state(): Promise<string>;
  close(): Promise<void>;
}

export interface RigOptions {
  /** The store is asked by https, held to the good certificate. */
  readonly tls?: boolean;
  readonly limits?: Readonly<Record<string, unknown>>;
  readonly cache?: string;
}

export async function openRig(
  kind: FakeKind,
  { tls = false, limits = {}, cache = '0' }: RigOptions = {},
): Promise<StoreRig> {
  const { folder, remove } = temporaryFolder();
  const shelf = await fakeShelves[kind](trusted);
  const front = await startFront(Number(new URL(shelf.server.url).port));
  const clock = { skew: 0 };
  const now = () => Date.now() + clock.skew;
  const failures: LogFacts[] = [];
  const lines: string[] = [];
  const io = nodeIo(folder);
  const entry = { ...shelf.entry(`${tls ? 'https' : 'http'}://127.0.0.1:${front.port}`), cache };
  const config = {
    broker: { url, signer: Object.keys(keys).map((name) => ({ kind: 'local', key: { store: 'keys', name } })) },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    issuers: { ci: { issuer: issuer.url, jwks: issuer.jwks } },
    stores: { 'under-test': entry, keys: { kind: 'env', prefix: 'TEST_KEY_' } },
    credentials: { stripe: { kind: 'secret', store: 'under-test', name: shelf.secret.name } },
    grants: [{ name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['stripe'], ttl: '10m' }],
    limits: { store: '2s', ...limits },
  };
  const reach = tls ? fetchTrusting(goodCertificate.cert) : io.fetch;
  let gate = Promise.resolve();
  const broker = await openBroker(config, folder, {
    ...io,
    fetch: (to, init) => gate.then(() => reach(to, init)),
    now,
    env: { TEST_KEY_EC: keys.EC, TEST_KEY_RSA: keys.RSA },
    log(level, event, facts = {}) {
      lines.push(JSON.stringify({ level, event, ...facts }));
      if (event === 'store_failed') failures.push(facts);
    },
  });
  const { server } = shelf;
  /** Nothing goes out before all have asked. */
  async function together(size: number, one: () => Promise<string | number>): Promise<Record<string, number>> {
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    const asked = Array.from({ length: size }, one);
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    open();
    const got: Record<string, number> = {};
    for (const answer of await Promise.all(asked)) got[answer] = (got[answer] ?? 0) + 1;
    return got;
  }

  const stores = openStores(
    { 'under-test': s.parse(pick(catalog, kind).schema, entry) as StoreEntry },
    storesDeps({
      storeMs: 30_000,
      now,
      fetch: (to, init) => gate.then(() => reach(to, init)),
      assertFor: signAssertion,
    }),
  );
  const read = (deadline: Deadline) => stores.read({ store: 'under-test', name: shelf.secret.name }, deadline);
  const token = () => {
    const at = Math.floor(now() / 1000);
    return issuer.token({ iat: at, nbf: at, exp: at + 600 });
  };
  const askOnce = (shown = token()) => broker.ask('/v1/credentials/stripe', shown);
  return {
    server,
    front,
    failures,
    log: () => lines.join('\n'),
    clock,
    fail(at, fault) {
      server.instead =
        fault === undefined ? undefined : (call) => (shelf.isLogin(call) === (at === 'login') ? fault : undefined);
    },
    async ask() {
      const response = await askOnce();
      const text = await response.text();
      const { status, headers } = response;
      const seen = `${JSON.stringify([...headers])} ${text}`;
      return { face: `${status} ${JSON.parse(text).code}`, retryAfter: headers.get('retry-after'), seen };
    },
    async crowd(size) {
      const shown = token();
      return together(size, async () => (await askOnce(shown)).status);
    },
    readers: (size) =>
      together(size, () =>
        read(deadlineIn(30_000, now)).then(
          () => 'value',
          () => 'refused',
        ),
      ),
    store: () => stores.open('under-test'),
    reads: () => server.calls.filter((call) => !shelf.isLogin(call)).length,
    async state() {
      const response = await askOnce();
      const body = (await response.json()) as { data?: { value: string } };
      return body.data?.value === shelf.secret.value ? 'works' : `${response.status} ${JSON.stringify(body)}`;
    },
    async close() {
      await broker.deployment.close();
      await front.close();
      await shelf.close();
      remove();
    },
  };
}
