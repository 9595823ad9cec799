import { sha256, toBase64Url } from '../lib/bytes.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import type { Fault } from '../lib/fault.ts';
import type { IssuerShape } from '../lib/issuer-shape.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import { decider } from './decide.ts';
import { compileGrants } from './grants.ts';
import { namesOf } from './names.ts';
import type { Policy } from './policy.ts';
import { compileRoles } from './roles.ts';

/** The parts of a config that are policy, exactly as configured after `${}`: the hash covers all but `stores` and `openedBy`. */
export interface PolicyInput {
  readonly issuers: Readonly<Record<string, unknown>>;
  readonly credentials: Readonly<Record<string, unknown>>;
  readonly roles?: Readonly<Record<string, unknown>>;
  readonly grants?: readonly unknown[];
  /** Names of the configured stores. */
  readonly stores?: readonly string[];
  /** By store: those that it is opened with a secret of. */
  readonly openedBy?: Readonly<Record<string, readonly string[]>>;
}

/**
 * Compiles roles and grants once into an immutable policy; `policy` is absent when a fault is an error. Paths count
 * from the top of the config. An entry that its schema refuses is one fault at the entry itself, beside those of its sound members; an issuer without a
 * shape is known by name only, its own faults being told elsewhere, and nothing is granted to it.
 */
export async function compilePolicy(
  input: PolicyInput,
  shapes: Readonly<Record<string, IssuerShape>>,
): Promise<{ readonly policy?: Policy; readonly faults: readonly Fault[] }> {
  const faults: Fault[] = [];
  const hash = hashOf(input, faults);
  const credentials = new Map(
    Object.entries(input.credentials).map(([name, entry]) => [name, storesOf(entry, input.openedBy)]),
  );
  const names = namesOf(credentials.keys());
  const roles = compileRoles(input.roles ?? {}, names, input.stores ?? [], faults);
  const issuers = namesOf(Object.keys(input.issuers));
  const grants = await compileGrants(input.grants ?? [], { issuers, credentials: names, roles, shapes }, faults);
  if (hash === undefined || faults.some(({ warning }) => !warning)) return { faults };
  const bound = grants.filter(({ issuer }) => Object.hasOwn(shapes, issuer));
  const policy = decider({ hash, grants: bound, credentials, shapes: new Map(Object.entries(shapes)) });
  return { policy, faults };
}

function hashOf({ issuers, credentials, roles, grants }: PolicyInput, faults: Fault[]): string | undefined {
  try {
    const text = canonicalJson({ issuers, credentials, roles, grants } as unknown as JsonObject);
    return `sha256:${toBase64Url(sha256(text))}`;
  } catch {
    faults.push({ path: [], message: 'holds a text that is not Unicode, or a number that is not finite' });
    return undefined;
  }
}

/**
 * The stores that a credential is read from or needs: its `store`, and those of the references in it, replicas too; and
 * those without whose secrets these could not be opened.
 */
function storesOf(entry: unknown, openedBy: PolicyInput['openedBy'] = {}): readonly string[] {
  const stores = new Set<string>();
  for (const holder of [entry, ...Object.values(entry ?? {}).flat()]) {
    const store = (holder as { store?: unknown } | null)?.store;
    if (typeof store === 'string') stores.add(store);
  }
  // What is added on the way is gone through as well.
  for (const store of stores)
    for (const needed of (Object.hasOwn(openedBy, store) && openedBy[store]) || []) stores.add(needed);
  return [...stores];
}
