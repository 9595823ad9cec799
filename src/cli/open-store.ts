import { MissingFolder } from '../lib/durable-file.ts';
import { nearest } from '../lib/suggest.ts';
import { openStores } from '../stores/open.ts';
import { type Store, StoreError } from '../stores/store.ts';
import { type ConfigFile, readConfigFile } from './config-file.ts';
import { exit, Failure } from './failure.ts';
import { nodePlatform } from './node-platform.ts';
import { adviceFor } from './store-advice.ts';
import { shown, type Terminal, withProgress } from './terminal.ts';

/** Opens one store of a config file, and no other but one that keeps its key. @throws Failure */
export async function openStoreOf(file: string, name: string, terminal: Terminal): Promise<Store> {
  const { config, folder } = await readConfigFile(file, terminal);
  return openNamedStore({ config, folder }, name, terminal);
}

/** As openStoreOf, for a config that was read. @throws Failure */
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
  const close = nearest(name, Object.keys(stores));
  throw new Failure(
    exit.negative,
    `the config has no store ${JSON.stringify(shown(name))}`,
    close === undefined ? undefined : `did you mean ${close}?`,
  );
}
