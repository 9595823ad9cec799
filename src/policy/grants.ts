import type { Fault } from '../lib/fault.ts';
import type { IssuerShape } from '../lib/issuer-shape.ts';
import * as s from '../lib/schema/index.ts';
import { parseDuration } from '../lib/time.ts';
import { breadthFault, compileBinding } from './binding.ts';
import type { Condition } from './condition.ts';
import type { Names } from './names.ts';
import type { Role, Terms } from './policy.ts';
import { type GrantEntry, grantSchema } from './schema.ts';
import type { CompiledWhen, When } from './when.ts';

/** A grant ready to be decided on; `order` is its place in the file. */
export interface Grant {
  readonly order: number;
  readonly name: string;
  readonly issuer: string;
  readonly conditions: readonly Condition[];
  /** Those of `conditions` that are patterns. */
  readonly patterns: readonly Condition[];
  readonly when: When | undefined;
  /** Credentials and roles in the order written. */
  readonly may: readonly (string | Role)[];
  readonly terms: Terms;
}

/** What grants may refer to. */
export interface Known {
  readonly issuers: Names;
  readonly credentials: Names;
  readonly roles: ReadonlyMap<string, Role>;
  readonly shapes: Readonly<Record<string, IssuerShape>>;
}

type Path = readonly (string | number)[];

export async function compileGrants(entries: readonly unknown[], known: Known, faults: Fault[]): Promise<Grant[]> {
  const grants: Grant[] = [];
  const taken = new Set<string>();
  const targets = known.credentials.with(known.roles.keys());
  const compileWhen = await whenCompiler(entries);

  function checkName(name: string, at: Path): void {
    if (taken.has(name)) faults.push({ path: [...at, 'name'], message: `a second grant named ${name}` });
    taken.add(name);
  }

  function readMay(names: readonly string[], at: Path): (string | Role)[] {
    targets.check(names, [...at, 'may'], 'credential or role', faults);
    return names.map((name) => known.roles.get(name) ?? name);
  }

  function readWhen(text: string, at: Path): When | undefined {
    const when = compileWhen(text);
    if ('when' in when) return when.when;
    const { fault, ...hint } = when;
    faults.push({ path: [...at, 'when'], message: `when: CEL error: ${fault}`, ...hint });
    return undefined;
  }

  /** What a refused entry has that fits on its own is checked all the same: faults are told all at once. */
  function checkParts(entry: unknown, at: Path): void {
    const { name, identity, may, when, ...terms } = soundParts(entry);
    if (name !== undefined) checkName(name, at);
    if (identity !== undefined) checkIdentity(identity, when !== undefined, known, [...at, 'identity'], faults);
    if (when !== undefined) readWhen(when, at);
    const routes = may === undefined ? [] : readMay(may, at);
    // A ttl that is refused, or a name nobody knows that was perhaps meant as one, is told already.
    const hasTtl = Object.keys(entry ?? {}).some((key) => key === 'ttl' || !Object.hasOwn(grantSchema.shape, key));
    if (terms.ttl !== undefined || !hasTtl) checkTerms(terms, routes, at, faults);
  }

  for (const [order, entry] of entries.entries()) {
    const at: Path = ['grants', order];
    const { success, data } = s.safeParse(grantSchema, entry);
    if (!success) {
      faults.push({ path: at, message: 'is not a grant' });
      checkParts(entry, at);
      continue;
    }
    checkName(data.name, at);
    // As written, not as parsed: what is told of a near miss is told in the writer's order.
    const { identity } = entry as GrantEntry;
    const conditions = checkIdentity(identity, data.when !== undefined, known, [...at, 'identity'], faults);
    const may = readMay(data.may, at);
    checkTerms(data, may, at, faults);
    const when = data.when === undefined ? undefined : readWhen(data.when, at);
    grants.push(
      Object.freeze({
        order,
        name: data.name,
        issuer: identity.issuer,
        conditions: Object.freeze(conditions),
        patterns: Object.freeze(conditions.filter(({ pattern }) => pattern)),
        when,
        may: Object.freeze(may),
        terms: termsOf(data),
      }),
    );
  }
  return grants;
}

/** The CEL library is loaded only for a policy with a condition that is not plain; one text is compiled once. */
async function whenCompiler(entries: readonly unknown[]): Promise<(text: string) => CompiledWhen> {
  const compiled = new Map<string, CompiledWhen>();
  const texts = new Set(entries.map((entry) => (entry as { when?: unknown } | null)?.when));
  texts.delete(undefined);
  if (texts.size === 0) return () => ({ fault: 'no condition was expected' });
  const { readPlainWhen } = await import('./plain-when.ts');
  for (const text of texts) {
    const when = typeof text === 'string' ? readPlainWhen(text) : undefined;
    if (when !== undefined) compiled.set(text as string, { when });
  }
  if (compiled.size < texts.size) {
    const { compileWhen } = await import('./when.ts');
    for (const text of texts)
      if (typeof text === 'string' && !compiled.has(text)) compiled.set(text, compileWhen(text));
  }
  return (text) => compiled.get(text) ?? { fault: 'was not read' };
}

function checkIdentity(
  identity: GrantEntry['identity'],
  conditional: boolean,
  known: Known,
  at: Path,
  faults: Fault[],
): readonly Condition[] {
  known.issuers.checkOne(identity.issuer, [...at, 'issuer'], 'issuer', faults);
  // An issuer whose own entry is wrong has no shape; its faults are told by those who found them.
  const shape = Object.hasOwn(known.shapes, identity.issuer) ? known.shapes[identity.issuer] : undefined;
  if (shape === undefined) return [];
  const binding = compileBinding(identity, shape, at);
  faults.push(...binding.faults);
  // What `when` asks may be just that. Where there is an error, it is told alone.
  const broad =
    conditional || binding.faults.some(({ warning }) => !warning)
      ? undefined
      : breadthFault(binding.conditions, shape, at);
  if (broad !== undefined) faults.push(broad);
  return binding.conditions;
}

/** The members of an entry that their own schemas take. */
function soundParts(entry: unknown): Partial<GrantEntry> {
  if (typeof entry !== 'object' || entry === null) return {};
  const sound = Object.entries(grantSchema.shape).flatMap(([key, schema]) => {
    const value = Object.hasOwn(entry, key) ? (entry as Record<string, unknown>)[key] : undefined;
    return value !== undefined && s.safeParse(schema, value).success ? [[key, value]] : [];
  });
  return Object.fromEntries(sound);
}

function checkTerms(
  entry: Pick<GrantEntry, 'ttl' | 'maxTtl'>,
  may: readonly (string | Role)[],
  at: Path,
  faults: Fault[],
): void {
  const givesCredentials = may.some((route) => typeof route === 'string' || route.credentials.length > 0);
  if (entry.ttl === undefined) {
    const message = 'the grant gives credentials, so it needs ttl';
    if (givesCredentials) faults.push({ path: [...at, 'ttl'], message, hint: 'such as ttl: 15m' });
  } else if (entry.maxTtl !== undefined && seconds(entry.ttl) > seconds(entry.maxTtl)) {
    faults.push({ path: [...at, 'ttl'], message: `longer than maxTtl (${entry.maxTtl})` });
  }
}

function termsOf(entry: GrantEntry): Terms {
  return Object.freeze({
    ttl: entry.ttl === undefined ? undefined : seconds(entry.ttl),
    maxTtl: entry.maxTtl === undefined ? undefined : seconds(entry.maxTtl),
    once: entry.once === true,
    tokenLife: entry.tokenLife === true,
    claims: Object.freeze([...(entry.claims ?? [])]),
    ...(entry.sealTo === undefined ? {} : { sealTo: entry.sealTo }),
    ...(entry.max === undefined ? {} : { max: entry.max }),
  });
}

// The schema let only durations through.
const seconds = (duration: string) => parseDuration(duration) as number;
