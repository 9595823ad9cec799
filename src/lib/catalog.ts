import type { Fault } from './fault.ts';
import type { Runtime } from './platform.ts';
import type * as s from './schema/index.ts';

/**
 * The one shape of every plug-in (store, kind, ledger driver, signer). `load` imports the code when it is first
 * needed; `schema` is known on every runtime, so that a config says what cannot run here.
 */
export interface PlugIn<Opened, Name extends string = string> {
  readonly name: Name;
  /** One line for docs and `--help`. */
  readonly about: string;
  /** Strict object schema of the plug-in's config entry, `kind` included; lazy, as a config names few of the catalog. */
  readonly schema: s.Schema;
  readonly runtimes: readonly Runtime[];
  /** Members that would hold a long-lived key, in lower case without `_` and `-`, and how one logs in `instead`. */
  readonly never?: { readonly members: readonly string[]; readonly instead: string };
  /** What the schema cannot say, on a value the schema accepted; paths count from the entry. */
  check?(config: unknown): readonly Fault[];
  load(): Promise<Opened>;
}

/** Looks a name up in a catalog. @throws Error for an unknown name: names are checked when the config is loaded */
export function pick<P extends { readonly name: string }>(catalog: readonly P[], name: string): P {
  const found = catalog.find((plugIn) => plugIn.name === name);
  if (found === undefined) throw new Error(`unknown plug-in ${name}`);
  return found;
}
