import { pick } from '../../lib/catalog.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { MissingFolder } from '../../lib/durable-file.ts';
import { nearest } from '../../lib/suggest.ts';
import { stores as catalog } from '../../stores/index.ts';
import { openStores } from '../../stores/open.ts';
import { type Store, StoreError } from '../../stores/store.ts';
import { type ConfigFile, readConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { nodePlatform } from '../node-platform.ts';
import { shown, type Terminal, withProgress } from '../terminal.ts';
import { adviceFor } from './advice.ts';

/** A store opened for an operator, and what is to be said and closed afterwards. */
export interface OpenedStore {
  readonly store: Store;
  /** Records a write, where the ledger had to be opened to log in at all; elsewhere an operator writes past the broker. */
  wrote(version: string): Promise<void>;
  close(): Promise<void>;
}

/** Works with one store of a config file; opens no other but one that keeps its key. @throws Failure */
export async function withStoreOf(
  file: string,
  name: string,
  terminal: Terminal,
  work: (opened: OpenedStore) => Promise<void>,
): Promise<void> {
  const opened = await openStoreOf(file, name, terminal);
  try {
    await work(opened);
  } finally {
    await opened.close();
  }
}

async function openStoreOf(file: string, name: string, terminal: Terminal): Promise<OpenedStore> {
  const { config, folder } = await readConfigFile(file, terminal);
  requireStore(config, name);
  const entry = config.stores[name] as ConfigFile['config']['stores'][string];
  if (pick(catalog, entry.kind).assertion?.(entry) === undefined) {
    const store = await openNamedStore({ config, folder }, name, terminal);
    return { store, wrote: async () => {}, close: async () => {} };
  }
  // Only the ledger can prove us to this store, so it is opened too, beside a running server where there is one.
  const { findUnmade } = await import('../unmade.ts');
  const unmade = await findUnmade(config, folder, file);
  if (unmade !== undefined) throw new Failure(exit.negative, shown(unmade.problem), shown(unmade.hint));
  const { buildDeployment } = await import('../../config/build.ts');
  const platform = { ...nodePlatform(terminal, folder), log: () => {} };
  const deployment = await buildDeployment(config, platform);
  const store = await asked(terminal, name, undefined, deployment.openStore(name)).catch(async (error) => {
    await deployment.close();
    throw error;
  });
  const wrote = (version: string) => deployment.recordStoreWrite(name, version, deadlineIn(writeMs, terminal.now));
  return { store, wrote, close: deployment.close };
}

const writeMs = 10_000;

/** For a config that was read, and a store that logs in nowhere or by ambient identity. @throws Failure */
export async function openNamedStore(
  { config, folder }: Pick<ConfigFile, 'config' | 'folder'>,
  name: string,
  terminal: Terminal,
): Promise<Store> {
  requireStore(config, name);
  const platform = { ...nodePlatform(terminal, folder), log: () => {} };
  const stores = openStores(config.stores, { ...platform, storeMs: config.limits.storeMs });
  return asked(terminal, name, undefined, stores.open(name));
}

/** Waits for a store, says so when it takes long, and turns its fault into a Failure. */
export async function asked<T>(
  terminal: Terminal,
  store: string,
  name: string | undefined,
  work: Promise<T>,
): Promise<T> {
  try {
    return await withProgress(terminal, `asking ${store}`, work);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.cause instanceof MissingFolder) throw new Failure(exit.negative, shown(error.cause.message));
    const { code, problem, hint } = adviceFor(error, store);
    throw new Failure(code, `${shown(name === undefined ? store : `${store}/${name}`)}: ${problem}`, hint);
  }
}

/** @throws Failure with a suggestion when the config has no such store */
export function requireStore({ stores }: ConfigFile['config'], name: string): void {
  if (Object.hasOwn(stores, name)) return;
  const names = Object.keys(stores);
  const close = nearest(name, names);
  const all = names.length === 0 ? undefined : `its stores: ${shown(names.join(', '))}`;
  throw new Failure(
    exit.negative,
    `the config has no store ${JSON.stringify(shown(name))}`,
    close === undefined ? all : `did you mean ${close}?`,
  );
}
