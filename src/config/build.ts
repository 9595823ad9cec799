import { openAsserter } from '../broker/assertions.ts';
import { createBroker } from '../broker.ts';
import { bindingIdentity, createVerifier, signatureCheck } from '../identity/index.ts';
import { fingerprint } from '../keys/derive.ts';
import type { KeyRing } from '../keys/keys.ts';
import type { LiveRing } from '../keys/live-ring.ts';
import { openHandles } from '../leases/handle.ts';
import { openRevoker } from '../leases/revoke.ts';
import type { Sweeper } from '../leases/sweep.ts';
import { openUnsettled } from '../leases/unsettled.ts';
import { openBook } from '../ledger/erasure/book.ts';
import { retentionRules } from '../ledger/erasure/retain.ts';
import type { Retention, RetentionDeps } from '../ledger/erasure/retention.ts';
import type { Standby } from '../ledger/going-on/standby.ts';
import { ledgerDrivers } from '../ledger/index.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { pick } from '../lib/catalog.ts';
import { type Deadline, deadlineIn } from '../lib/deadline.ts';
import { createMetrics, type Metrics } from '../lib/metrics.ts';
import type { Platform } from '../lib/platform.ts';
import { Secret } from '../lib/secret.ts';
import type { Rotation } from '../rotation/rotate.ts';
import { subjectOf as assertionSubject } from '../sessions/assertion.ts';
import type { StoresDeps } from '../stores/open.ts';
import type { Config } from './config.ts';
import type { Deployment } from './deployment.ts';
import type { ArchiveConfig } from './parts/archive-place.ts';
import type { Archiver, ArchiverDeps } from './parts/archiver.ts';
import { openBrokerSecrets } from './parts/broker-secrets.ts';
import type { Following } from './parts/follower.ts';
import { keysHere } from './parts/key-place.ts';
import { readFor } from './parts/key-refs.ts';
import { ledgerLogin } from './parts/ledger-login.ts';
import { openParts, type Parts, signerUrl } from './parts/parts.ts';
import type { openUpkeep } from './parts/upkeep.ts';
import { exchangeTargets } from './sections/targets.ts';

/** How long building may take, milliseconds: stores are read for keys. */
const buildMs = 10_000;

/** Only where a signer's keys are is their code needed: a Worker beside a Durable Object starts without it. */
const keys = () => import('./parts/key-ring.ts');
/** Nor, but where a log is kept, that of waiting for a standby. */
const confirmed = () => import('./parts/confirmed.ts');
/** Nor, but at a standby, that of following another ledger. */
const following = () => import('./parts/follower.ts');
/** Nor that of sweeping, which no request waits for. */
const sweeping = () => import('../leases/sweep.ts');

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
  const metrics = createMetrics();
  const { ledger, followed } = await openLedger(config, platform, parts, ring, metrics);
  const standby = followed?.standby;

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
  const unsettled = openUnsettled();
  let opened: Sweeper | undefined;
  const sweeper = async (): Promise<Sweeper> => {
    const { openSweeper } = await sweeping();
    opened ??= openSweeper({ ...common, writer: settings.url, unsettled, metrics, random });
    return opened;
  };
  let rotating: Rotation | undefined;
  const rotation = async (): Promise<Rotation> => {
    const { buildRotation } = await import('./parts/rotation.ts');
    const { logsOf } = await import('../ledger/going-on/promotion.ts');
    const lists = logsOf(ledger).flatMap(({ reader }) => (reader === undefined ? [] : [reader.list]));
    rotating ??= buildRotation(config, platform, parts, { book, count: metrics.add, lists });
    return rotating;
  };
  const rules = retentionRules(config.ledger);
  let retaining: Retention | undefined;
  const retention = async (): Promise<Retention | undefined> => {
    if (rules.timed.length === 0 || ledger.elsewhere !== undefined) return undefined;
    const { openRetention } = await import('../ledger/erasure/retention.ts');
    const self = selfOf(config);
    retaining ??= openRetention({ ledger, book, rules, self, limits, now, log, count: metrics.add });
    return retaining;
  };
  const kept = (deadline: Deadline) => keptInput(ring, ledger, deadline);
  const secrets = await openBrokerSecrets(config, parts.read, kept, deadlineIn(buildMs, now));
  parts.deriveBy(secrets);
  const fingerprintKeys = secrets.keep((all) => all.map((one) => one.fingerprint));
  // A stored secret is one object for as long as it is cached, and is fingerprinted once.
  const fingerprints = new WeakMap<Secret, { fingerprint: string; fingerprintKey: string }>();
  const broker = createBroker({
    ...common,
    verify: verifier.verify,
    verifyBinding: (props) => bindingIdentity(config.issuers, props),
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
    unsettled: unsettled.remember,
    count: metrics.add,
    names: namesIn(config),
    retention: rules,
  });

  let upkeep: ReturnType<typeof openUpkeep> | undefined;
  const keepUp = async (deadline: Deadline): Promise<void> => {
    const { openUpkeep: open } = await import('./parts/upkeep.ts');
    upkeep ??= open(config, platform, { ledger, standby, ring, broker, sweeper, rotation, retention });
    return upkeep(deadline);
  };

  const follower = followed && (await following()).startFollowing(followed, platform);
  const carrying = await openForwarder(config, platform, parts, { ledger, metrics, follows: standby !== undefined });
  const forwarder = standby && carrying ? (await following()).oncePromoted(standby, carrying, now) : carrying;
  const archiver = await openArchiver(config, platform, parts, {
    ledger,
    metrics,
    ...(standby && { waiting: notPromoted(standby) }),
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
      ledger.elsewhere !== undefined && ring !== undefined
        ? keys().then(({ ownKeys }) => ownKeys(ring, deadline))
        : ledger.keys(deadline),
    fingerprints: async (value, deadline) =>
      (await fingerprintKeys(deadline)).map((key) => ({
        fingerprint: fingerprint(key, new Secret(value)),
        fingerprintKey: key.id,
      })),
    cursorKey: async (deadline) => (await secrets.newest(deadline)).cursor,
    ready: (deadline) => ledger.ready(deadline),
    async recover(deadline) {
      // A standby undoes nothing: that is for the one it follows.
      if (standby !== undefined && !(await standby.promoted(deadline.within(ledgerMs)))) return;
      await keepUp(deadline);
    },
    async cosigned(texts, deadline) {
      const { cosignedNote } = await import('../sinks/witness/cosigned.ts');
      return cosignedNote(witnessesIn(config), texts, deadline);
    },
    ...(forwarder && { forwarder }),
    ...(archiver && { archiver }),
    async rotate(...what) {
      return (await rotation()).rotate(...what);
    },
    async sweep(deadline, orphans) {
      return (await sweeper()).run(deadline, { orphans, eager: true });
    },
    async unrevoked(deadline, after) {
      return (await sweeper()).list(deadline, after);
    },
    metrics,
    async close() {
      archiver?.stop();
      await follower?.stop();
      await ledger.close();
    },
  };
}

/** How Hallpass itself stands in a record's disclosure. */
function selfOf(config: Config): RetentionDeps['self'] {
  const subject = assertionSubject(config.broker.url);
  return { name: `self:${subject}`, iss: signerUrl(config), subject };
}

const witnessesIn = ({ sinks }: Config): string[] =>
  Object.keys(sinks).filter((name) => sinks[name]?.kind === 'witness');

/** What a lockdown can name. */
const namesIn = ({ issuers, stores, policyInput: { credentials, roles = {}, grants = [] } }: Config) => ({
  issuer: Object.keys(issuers),
  grant: grants.map((grant) => String((grant as { readonly name?: unknown }).name)),
  role: Object.keys(roles),
  credential: Object.keys(credentials),
  store: Object.keys(stores),
});

/** Its code is needed only where there are sinks. */
async function openForwarder(
  config: Config,
  platform: Platform,
  parts: Parts,
  from: { readonly ledger: Ledger; readonly metrics: Metrics; readonly follows: boolean },
) {
  if (Object.keys(config.sinks).length === 0) return undefined;
  const { buildForwarder } = await import('./parts/forwarder.ts');
  return buildForwarder(config, platform, parts, from);
}

const notPromoted =
  (standby: Standby): NonNullable<ArchiverDeps['waiting']> =>
  async (deadline) =>
    !(await standby.promoted(deadline));

/** Its code is needed only where closed logs have a place. */
async function openArchiver(
  { ledger }: Config,
  platform: Platform,
  { assertFor }: Parts,
  deps: Pick<ArchiverDeps, 'ledger' | 'metrics' | 'waiting'>,
): Promise<Archiver | undefined> {
  if (ledger.archive === undefined) return undefined;
  const { buildArchiver } = await import('./parts/archiver.ts');
  const { archiveAssert } = await import('./parts/mintables.ts');
  const assert = archiveAssert(ledger, assertFor);
  return buildArchiver(platform, { ...deps, config: ledger.archive as ArchiveConfig, ...(assert && { assert }) });
}

async function openLedger(
  config: Config,
  platform: Platform,
  parts: Parts,
  ring: LiveRing | undefined,
  metrics: Metrics,
): Promise<{ ledger: Ledger; followed?: Following }> {
  const { ledger } = config;
  const driver = await pick(ledgerDrivers, ledger.kind).load();
  const deps = {
    platform,
    origin: ledger.origin,
    writer: parts.writer,
    read: readFor('ledger.url', parts.read, config.stores),
  };
  if (ledger.kind === 'http')
    return { ledger: await driver.open(ledger, { ...deps, assertion: ledgerLogin(config, ring, platform) }) };
  if (ledger.kind === 'durable-object' || ring === undefined) return { ledger: await driver.open(ledger, deps) };
  const { secretsFor, withLiveKeys } = await keys();
  const { openConfirmed } = await confirmed();
  const all = { ...deps, secrets: await secretsFor(config, ring, parts) };
  const open = (gate: object) => driver.open(ledger, { ...all, ...gate });
  const log = await openConfirmed(config, platform, open, { serves: true, metrics });
  const keyed = (one: Ledger) => withLiveKeys(one, ring, deadlineIn(buildMs, platform.now));
  const { gateOnce } = await import('../ledger/going-on/once-gate.ts');
  if (ledger.follow === undefined) return { ledger: await keyed(gateOnce(log, platform.now)) };
  const { buildStandby } = await following();
  const followed = buildStandby(config, ring, platform, log);
  return { ledger: await keyed(gateOnce(followed.standby.ledger, platform.now)), followed };
}

/** The same input where there is no `broker.secret`: what the signer or the ledger's side gives. */
async function keptInput(ring: KeyRing | undefined, ledger: Ledger, deadline: Deadline): Promise<Uint8Array> {
  const input = ring?.secret ?? (await ledger.secret?.(deadline));
  if (input === undefined) throw new Error('beside a signer that keeps its key, broker.secret is required');
  return input;
}
