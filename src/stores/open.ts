import { pick } from '../lib/catalog.ts';
import type { Deadline } from '../lib/deadline.ts';
import { once } from '../lib/once.ts';
import type { OperatorLog } from '../lib/platform.ts';
import type { ReadRef, Ref } from '../lib/ref.ts';
import type { AssertionTerms } from '../sessions/session.ts';
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

export interface StoresDeps extends Omit<StoreDeps, 'read' | 'assert' | 'step'> {
  /** A store's own share of a request's deadline, milliseconds. */
  readonly storeMs: number;
  readonly log: OperatorLog;
  /** A fresh assertion for a store of the config, by that store's own terms; absent where nobody can sign one. */
  readonly assertFor?: (store: string, terms: AssertionTerms, deadline: Deadline) => Promise<string>;
  /** Told of each step of each store, for `store check`. */
  readonly step?: (store: string, name: string) => void;
}

export function openStores(entries: Readonly<Record<string, StoreEntry>>, deps: StoresDeps): Stores {
  const lazy: Record<string, LazyStore> = {};
  const read = createReader({ stores: lazy, storeMs: deps.storeMs, now: deps.now, log: deps.log });
  for (const [name, entry] of Object.entries(entries)) {
    lazy[name] = { open: once(() => openStore(name, entry, { ...deps, read })), cacheMs: cacheMs(entry.cache) };
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

async function openStore(name: string, entry: StoreEntry, deps: StoresDeps & Pick<StoreDeps, 'read'>): Promise<Store> {
  const plugIn = pick(catalog, entry.kind);
  const module = await plugIn.load();
  const { assertFor, step, ...rest } = deps;
  const terms = plugIn.assertion?.(entry);
  const assert =
    terms === undefined || assertFor === undefined
      ? {}
      : { assert: (deadline: Deadline) => assertFor(name, terms, deadline) };
  return guardStore(module.open(entry, { ...rest, ...assert, ...(step && { step: (at: string) => step(name, at) }) }));
}
