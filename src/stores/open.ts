import { pick } from '../lib/catalog.ts';
import { once } from '../lib/once.ts';
import type { ReadRef, Ref } from '../lib/ref.ts';
import { cacheMs } from './cache.ts';
import { guardStore } from './guard.ts';
import { stores as catalog } from './index.ts';
import { createReader, type LazyStore } from './reader.ts';
import type { Store, StoreDeps } from './store.ts';

/** A store of the config, as its checked entry says. */
export interface StoreEntry {
  readonly kind: string;
  readonly cache?: string | undefined;
  readonly key?: Ref | undefined;
}

/** The stores of a config, each loaded and opened when it is first used. */
export interface Stores {
  /** The store itself, uncached; every error it gives is a StoreError, by the deadline. @throws Error for an unknown name */
  open(name: string): Promise<Store>;
  /** Reads REFs through the cache. */
  readonly read: ReadRef;
}

export interface StoresDeps extends Omit<StoreDeps, 'read'> {
  /** A store's own share of a request's deadline, milliseconds. */
  readonly storeMs: number;
}

export function openStores(entries: Readonly<Record<string, StoreEntry>>, deps: StoresDeps): Stores {
  const lazy: Record<string, LazyStore> = {};
  const read = createReader({ stores: lazy, storeMs: deps.storeMs, now: deps.now });
  for (const [name, entry] of Object.entries(entries)) {
    lazy[name] = { open: once(() => openStore(entry, { ...deps, read })), cacheMs: cacheMs(entry.cache) };
  }
  return {
    async open(name) {
      const store = Object.hasOwn(lazy, name) ? lazy[name] : undefined;
      if (store === undefined) throw new Error('no such store in the config');
      return store.open();
    },
    read,
  };
}

async function openStore(entry: StoreEntry, deps: StoreDeps): Promise<Store> {
  const module = await pick(catalog, entry.kind).load();
  return guardStore(module.open(entry, deps));
}
