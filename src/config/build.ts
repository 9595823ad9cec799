import { type AssertFor, openAsserter, placeOf } from '../broker/assertions.ts';
import { createBroker } from '../broker.ts';
import { kinds } from '../credentials/index.ts';
import type { ConfiguredCredential } from '../credentials/kind.ts';
import { createVerifier, signatureCheck } from '../identity/index.ts';
import { fingerprint } from '../keys/derive.ts';
import type { KeyRing } from '../keys/keys.ts';
import type { LiveRing } from '../keys/live-ring.ts';
import { openRecovery } from '../leases/recover.ts';
import { openHandles } from '../leases/handle.ts';
import { openRevoker } from '../leases/revoke.ts';
import { openBook } from '../ledger/book.ts';
import { openObjectLedger } from '../ledger/drivers/durable-object/log.ts';
import type { ObjectStorage } from '../ledger/drivers/durable-object/storage.ts';
import { ledgerDrivers } from '../ledger/index.ts';
import type { Ledger, PublicKeys } from '../ledger/ledger.ts';
import type { Writer } from '../ledger/record.ts';
import { hkdfSha256 } from '../lib/bytes.ts';
import { pick } from '../lib/catalog.ts';
import { type Deadline, deadlineIn } from '../lib/deadline.ts';
import { createMetrics } from '../lib/metrics.ts';
import { once } from '../lib/once.ts';
import type { Platform } from '../lib/platform.ts';
import type { ReadRef } from '../lib/ref.ts';
import { Refusal } from '../lib/refusal.ts';
import type { Secret } from '../lib/secret.ts';
import { version } from '../lib/version.ts';
import type { AssertionTerms } from '../sessions/session.ts';
import { stores as storeCatalog } from '../stores/index.ts';
import { openStores, type Stores, type StoresDeps } from '../stores/open.ts';
import { type BrokerSecrets, openBrokerSecrets } from './broker-secrets.ts';
import type { Config } from './config.ts';
import type { Deployment } from './deployment.ts';
import { keysHere } from './key-place.ts';
import { ledgerLogin } from './ledger-login.ts';
import { ledgerSecrets, type Mintable, type Mintables, publicKeys } from './ledger-side.ts';
import { exchangeTargets } from './targets.ts';

/** How long building may take, milliseconds: stores are read for keys. */
const buildMs = 10_000;

/** Only where a signer's keys are is their code needed: a Worker beside a Durable Object starts without it. */
const keys = () => import('./key-ring.ts');

/** What both sides are made of. */
interface Parts {
  readonly stores: Stores;
  readonly read: ReadRef;
  /** From then on stores can log in by assertion. */
  readonly proveBy: (assertFor: AssertFor) => void;
  /** From then on credentials can derive what must be the same everywhere. */
  readonly deriveBy: (secrets: BrokerSecrets) => void;
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly writer: Writer;
}

export interface BuildOptions {
  /** Told of each step of logging in to a store and reading it. */
  readonly step?: StoresDeps['step'];
}

/** Builds what a checked config says, for the platform it was checked for. @throws Error saying what could not be had */
export async function buildDeployment(
  config: Config,
  platform: Platform,
  { step }: BuildOptions = {},
): Promise<Deployment> {
  const { broker: settings, limits, policy } = config;
  const { now, random, log } = platform;
  const parts = openParts(config, platform, step);
  const { read } = parts;
  const ring = keysHere(config) ? await (await keys()).openRing(config, platform, { read, buildMs }) : undefined;
  const ledger = await openLedger(config, platform, parts, ring);
  const metrics = createMetrics();

  const verifier = createVerifier({
    issuers: config.issuers,
    audience: settings.audience,
    now,
    fetch: platform.fetch,
    fetchTrusting: platform.fetchTrusting,
    readFile: platform.readFile,
    read: parts.read,
    log,
    limits,
    checkSignature: signatureCheck(platform.runtime),
  });
  const book = openBook({ ledger, policy, writer: parts.writer, now, random });
  const { ledgerMs } = limits;
  parts.proveBy(openAsserter({ book, issuer: signerUrl(config), writer: settings.url, ledgerMs, now }));
  const common = { book, ledger, policy, limits, credentials: parts.credentials, log, now };
  const recovery = openRecovery(common);
  const kept = (deadline: Deadline) => keptInput(ring, ledger, deadline);
  const secrets = await openBrokerSecrets(config, parts.read, kept, deadlineIn(buildMs, now));
  parts.deriveBy(secrets);
  // A stored secret is one object for as long as it is cached, and is fingerprinted once.
  const fingerprints = new WeakMap<Secret, { fingerprint: string; fingerprintKey: string }>();
  const broker = createBroker({
    ...common,
    verify: verifier.verify,
    revoker: openRevoker(common),
    fingerprint: async (value, deadline) => {
      const known = fingerprints.get(value);
      if (known !== undefined) return known;
      const { fingerprint: key } = await secrets.newest(deadline);
      const made = { fingerprint: fingerprint(key, value), fingerprintKey: key.id };
      fingerprints.set(value, made);
      return made;
    },
    handles: secrets.keep((all) => openHandles(all, random)),
    unsettled: recovery.remember,
    count: metrics.add,
  });

  return {
    url: settings.url,
    broker,
    openStore: parts.stores.open,
    recordStoreWrite: async (store, version, deadline) => {
      await book.append(book.write('store-write', { store, version }), deadline.within(ledgerMs));
    },
    ledger,
    limits,
    targets: exchangeTargets(config.credentials),
    explain: settings.explain,
    publicLog: config.ledger.public,
    keys: (deadline) =>
      ledger.elsewhere !== undefined && ring !== undefined ? ownKeys(ring, deadline) : ledger.keys(deadline),
    cursorKey: async (deadline) => (await secrets.newest(deadline)).cursor,
    ready: (deadline) => ledger.ready(deadline),
    async recover(deadline) {
      const refresh = ledger.refreshKeys ?? ring?.refresh;
      // A Durable Object that waits for its KMS must not keep open issuances from being undone.
      await refresh?.(deadline.within(limits.storeMs)).catch((error) => {
        log('warn', 'keys_not_reread', { reason: error instanceof Refusal ? error.reason : 'internal' });
      });
      await broker.summarise(deadline.within(limits.ledgerMs));
      await recovery.run(deadline);
    },
    metrics,
    close: () => ledger.close(),
  };
}

/** The ledger's side alone, for the Durable Object that keeps the log: its keys are made in the object and stay there. */
export async function buildLedgerSide(config: Config, platform: Platform, storage: ObjectStorage): Promise<Ledger> {
  const parts = openParts(config, platform);
  const { openRing, withLiveKeys } = await keys();
  const ring = await openRing(config, platform, { read: parts.read, buildMs, storage });
  const secrets = ledgerSecrets(ring, await openMintables(config, parts));
  const { origin } = config.ledger;
  const log = await openObjectLedger(storage, { platform, origin, writer: parts.writer, secrets });
  const ledger = await withLiveKeys(log, ring, deadlineIn(buildMs, platform.now));
  if (ring.secret === undefined) return ledger;
  // One way: what the handler makes fingerprints with leads to no key that signs.
  const secret = hkdfSha256(ring.secret, 'hallpass/secret/v1', 32);
  return { ...ledger, secret: async () => secret };
}

function openParts(config: Config, platform: Platform, step?: StoresDeps['step']): Parts {
  const { instance } = platform;
  const { url } = config.broker;
  let prove: AssertFor | undefined;
  const assertFor: AssertFor = async (at, terms, deadline) => {
    if (prove === undefined) throw new Refusal('store_failed', 'no_ledger_yet', { facts: placeOf(at) });
    return prove(at, terms, deadline);
  };
  const { storeMs } = config.limits;
  const stores = openStores(config.stores, { ...platform, storeMs, assertFor: (store, ...about) => assertFor({ store }, ...about), ...(step && { step }) });
  const { read } = stores;
  let secrets: BrokerSecrets | undefined;
  const derive = async (info: string, deadline: Deadline): Promise<Uint8Array> => {
    if (secrets === undefined) throw new Refusal('internal', 'no_secret_yet');
    return secrets.derive(info, deadline);
  };
  const deps = { ...platform, read, workloadsIssuer: `${signerUrl(config)}/workloads` };
  const credentials = new Map<string, ConfiguredCredential>();
  for (const [name, entry] of Object.entries(config.credentials)) {
    const { kind } = entry;
    const plugIn = pick(kinds, kind);
    const terms = plugIn.assertion?.(entry);
    const own = {
      ...deps,
      name,
      derive: (purpose: string, until: Deadline) => derive(`hallpass/credential/v1 ${name} ${purpose}`, until),
      ...(terms && {
        assert: (until: Deadline, issuance?: string) =>
          assertFor({ credential: name, ...(issuance !== undefined && { issuance }) }, terms, until),
      }),
    };
    credentials.set(name, { name, kind, open: once(async () => (await plugIn.load()).open(entry, own)) });
  }
  const proveBy = (by: AssertFor) => {
    prove = by;
  };
  const deriveBy = (by: BrokerSecrets) => {
    secrets = by;
  };
  return { stores, read, proveBy, deriveBy, credentials, writer: { name: url, instance, version } };
}


/** Where the ledger is elsewhere, it signs, as itself. */
const signerUrl = ({ broker, ledger }: Config): string => (ledger.kind === 'http' ? String(ledger.url) : broker.url);

async function openMintables(config: Config, parts: Parts): Promise<Mintables> {
  const sessions = new Map<string, AssertionTerms>();
  for (const [name, entry] of Object.entries(config.stores)) {
    const terms = pick(storeCatalog, entry.kind).assertion?.(entry);
    if (terms !== undefined) sessions.set(name, terms);
  }
  const logins = new Map<string, AssertionTerms>();
  for (const [name, entry] of Object.entries(config.credentials)) {
    const terms = pick(kinds, entry.kind).assertion?.(entry);
    if (terms !== undefined) logins.set(name, terms);
  }
  return { issuer: config.broker.url, credentials: await openSigned(parts), sessions, logins };
}

async function openSigned({ credentials }: Parts): Promise<ReadonlyMap<string, Mintable>> {
  const signed = new Map<string, Mintable>();
  for (const { name, kind, open } of credentials.values()) {
    const credential = pick(kinds, kind).made === 'signed' ? await open() : undefined;
    if (credential?.made === 'signed') signed.set(name, { kind, credential });
  }
  return signed;
}

async function openLedger(
  config: Config,
  platform: Platform,
  parts: Parts,
  ring: LiveRing | undefined,
): Promise<Ledger> {
  const { ledger } = config;
  const driver = await pick(ledgerDrivers, ledger.kind).load();
  const deps = { platform, origin: ledger.origin, writer: parts.writer };
  if (ledger.kind === 'http') return driver.open(ledger, { ...deps, assertion: ledgerLogin(config, ring, platform) });
  if (ledger.kind === 'durable-object' || ring === undefined) return driver.open(ledger, deps);
  const log = await driver.open(ledger, { ...deps, secrets: ledgerSecrets(ring, await openMintables(config, parts)) });
  return (await keys()).withLiveKeys(log, ring, deadlineIn(buildMs, platform.now));
}

/** What this broker itself publishes, where its ledger is elsewhere. */
async function ownKeys(ring: LiveRing, deadline: Deadline): Promise<PublicKeys> {
  await ring.renew(deadline);
  return publicKeys(ring);
}

/** The same input where there is no `broker.secret`: what the signer or the ledger's side gives. */
async function keptInput(ring: KeyRing | undefined, ledger: Ledger, deadline: Deadline): Promise<Uint8Array> {
  const input = ring?.secret ?? (await ledger.secret?.(deadline));
  if (input === undefined) throw new Error('beside a signer that keeps its key, broker.secret is required');
  return input;
}
