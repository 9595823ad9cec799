import { type AssertFor, placeOf } from '../../broker/assertions.ts';
import { kinds } from '../../credentials/index.ts';
import type { ConfiguredCredential } from '../../credentials/kind.ts';
import { openTargetMark } from '../../credentials/target-mark.ts';
import type { Writer } from '../../ledger/records/record.ts';
import { pick } from '../../lib/catalog.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { once } from '../../lib/once.ts';
import type { Platform } from '../../lib/platform.ts';
import type { ReadRef } from '../../lib/ref.ts';
import { Refusal } from '../../lib/refusal.ts';
import { version } from '../../lib/version.ts';
import { openStores, type Stores, type StoresDeps } from '../../stores/open.ts';
import type { Config } from '../config.ts';
import type { BrokerSecrets } from './broker-secrets.ts';

/** What both sides are made of. */
export interface Parts {
  readonly stores: Stores;
  readonly read: ReadRef;
  /** What stores and credentials log in by. */
  readonly assertFor: AssertFor;
  /** From then on stores can log in by assertion. */
  readonly proveBy: (assertFor: AssertFor) => void;
  /** From then on credentials can derive what must be the same everywhere. */
  readonly deriveBy: (secrets: BrokerSecrets) => void;
  /** 32 bytes of `broker.secret` for one purpose. */
  readonly derive: BrokerSecrets['derive'];
  readonly credentials: ReadonlyMap<string, ConfiguredCredential>;
  readonly writer: Writer;
}

/** Where the ledger is elsewhere, it signs, as itself. */
export const signerUrl = ({ broker, ledger }: Config): string =>
  ledger.kind === 'http' ? String(ledger.url) : broker.url;

export function openParts(config: Config, platform: Platform, step?: StoresDeps['step']): Parts {
  const { instance } = platform;
  const { url } = config.broker;
  let prove: AssertFor | undefined;
  const assertFor: AssertFor = async (at, terms, deadline) => {
    if (prove === undefined) throw new Refusal('store_failed', 'no_ledger_yet', { facts: placeOf(at) });
    return prove(at, terms, deadline);
  };
  const { storeMs } = config.limits;
  const stores = openStores(config.stores, {
    ...platform,
    storeMs,
    assertFor: (store, ...about) => assertFor({ store }, ...about),
    ...(step && { step }),
  });
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
    const places = plugIn.places?.(entry);
    credentials.set(name, {
      name,
      kind,
      ...(places && { target: openTargetMark(kind, places) }),
      open: once(async () => (await plugIn.load()).open(entry, own)),
    });
  }
  const proveBy = (by: AssertFor) => {
    prove = by;
  };
  const deriveBy = (by: BrokerSecrets) => {
    secrets = by;
  };
  return { stores, read, assertFor, proveBy, deriveBy, derive, credentials, writer: { name: url, instance, version } };
}
