import type { Deadline } from '../lib/deadline.ts';
import { Refusal } from '../lib/refusal.ts';
import type { Secret } from '../lib/secret.ts';
import { parseInstant } from '../lib/time.ts';

/** What rotation needs of a store; every error is one of the store's. */
export interface RotatedStore {
  get(name: string, version: string | undefined, deadline: Deadline): Promise<{ value: Secret; version: string }>;
  describe(name: string, deadline: Deadline): Promise<{ readonly version: string; readonly createdAt?: string }>;
  put(name: string, value: Secret, deadline: Deadline): Promise<{ version: string }>;
}

export type Current = { readonly value: Secret; readonly version: string };

/** One stored value in its store, whose errors are refusals. */
export interface OpenStore {
  /** Undefined where nothing is stored yet. */
  current(deadline: Deadline): Promise<Current | undefined>;
  /** Which version is current, and since when, milliseconds; the latter undefined where the store does not tell. */
  since(deadline: Deadline): Promise<{ readonly version: string; readonly at: number | undefined }>;
  /** @returns the version */
  put(value: Secret, deadline: Deadline): Promise<string>;
}

interface Named {
  readonly credential: string;
  readonly store: string;
  readonly name: string;
}

export function openRotated(
  named: Named,
  {
    openStore,
    limits,
  }: { readonly openStore: (name: string) => Promise<RotatedStore>; readonly limits: { readonly storeMs: number } },
): OpenStore {
  const { store, name } = named;
  const ask = async <T>(deadline: Deadline, work: (open: RotatedStore, until: Deadline) => Promise<T>): Promise<T> => {
    try {
      return await work(await openStore(store), deadline.within(limits.storeMs));
    } catch (error) {
      throw fromStore(error, named);
    }
  };
  return {
    current: (deadline) =>
      ask(deadline, (open, until) =>
        open.get(name, undefined, until).catch((error) => {
          if (faultOf(error) === 'absent') return undefined;
          throw error;
        }),
      ),
    since: async (deadline) => {
      const { version, createdAt } = await ask(deadline, (open, until) => open.describe(name, until));
      return { version, at: createdAt === undefined ? undefined : parseInstant(createdAt) };
    },
    put: async (value, deadline) => (await ask(deadline, (open, until) => open.put(name, value, until))).version,
  };
}

const faultOf = (error: unknown): unknown => (error as { readonly fault?: unknown } | null)?.fault;

/** The stable word of what went wrong. */
export function reasonOf(error: unknown): string {
  if (error instanceof Refusal) return error.reason;
  const fault = faultOf(error);
  return typeof fault === 'string' && /^[a-z_]{1,64}$/.test(fault) ? `store_${fault}` : 'internal';
}

/** What a store threw, as the caller hears it; a Refusal is one already. */
function fromStore(error: unknown, { store, credential }: Named): unknown {
  if (error instanceof Refusal || faultOf(error) === undefined) return error;
  const code = faultOf(error) === 'slow' ? 'store_timeout' : 'store_failed';
  return new Refusal(code, reasonOf(error), { facts: { store, credential }, cause: error });
}
