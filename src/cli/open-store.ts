import { MissingFolder } from '../lib/durable-file.ts';
import { nearest } from '../lib/suggest.ts';
import { openStores } from '../stores/open.ts';
import { type Store, StoreError, type StoreFault } from '../stores/store.ts';
import { type ConfigFile, readConfigFile } from './config-file.ts';
import { exit, Failure } from './failure.ts';
import { nodePlatform } from './node-platform.ts';
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
  if (!Object.hasOwn(config.stores, name)) {
    const close = nearest(name, Object.keys(config.stores));
    throw new Failure(
      exit.negative,
      `the config has no store ${JSON.stringify(shown(name))}`,
      close === undefined ? undefined : `did you mean ${close}?`,
    );
  }
  const platform = { ...nodePlatform(terminal, folder), log: () => {} };
  const stores = openStores(config.stores, { ...platform, storeMs: config.limits.storeMs });
  return asked(terminal, name, undefined, stores.open(name));
}

const advice: Readonly<Record<StoreFault, readonly [code: number, message: string]>> = {
  absent: [exit.negative, 'there is no such secret'],
  denied: [exit.refused, 'the store refused'],
  disabled: [exit.negative, 'the secret is disabled'],
  throttled: [exit.unreachable, 'the store asks us to wait'],
  unreachable: [exit.unreachable, 'the store gave no usable answer'],
  slow: [exit.unreachable, 'the store did not answer in time'],
  read_only: [exit.negative, 'this store takes no writes'],
  invalid: [exit.negative, 'the store cannot hold such a name or value'],
  damaged: [exit.negative, 'what is stored fails its integrity check'],
};

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
    const [code, message] = advice[error.fault];
    throw new Failure(code, `${shown(name === undefined ? store : `${store}/${name}`)}: ${message}`);
  }
}
