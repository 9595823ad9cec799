import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { vectors } from '../ledger/vectors.ts';

// Checks events against the definitions of the OCSF schema itself: required attributes, unknown ones, types, patterns,
// enums, "at least one" constraints, and the profiles an event names.

interface Attribute {
  readonly requirement?: string;
  readonly enum?: Readonly<Record<string, { readonly caption: string }>>;
  readonly type?: string;
  readonly is_array?: boolean;
  readonly sibling?: string;
  readonly profile?: string | null;
  readonly '@deprecated'?: unknown;
}

interface Definition {
  readonly name?: string;
  readonly caption?: string;
  readonly extends?: string;
  readonly attributes?: Readonly<Record<string, Attribute>> & { readonly $include?: readonly string[] };
  readonly constraints?: { readonly at_least_one?: readonly string[] };
  readonly uid?: number;
  readonly category?: string;
  readonly profiles?: readonly string[];
}

interface BaseType {
  readonly type?: string;
  readonly regex?: string;
  readonly range?: readonly [number, number];
  readonly max_len?: number;
}

const folder = vectors === undefined ? undefined : join(vectors, 'ocsf');

/** Why the schema cannot be read here. */
export const noSchema = folder === undefined || !existsSync(folder) ? 'HALLPASS_VECTORS has no ocsf' : undefined;

const jsonAt = <T>(...path: string[]): T => JSON.parse(readFileSync(join(folder as string, ...path), 'utf8')) as T;

/** Every way in which an event is not one of the schema; empty when it is one. */
export function ocsfFaults(event: Record<string, unknown>): string[] {
  const schema = load();
  const definition = [...schema.classes.values()].find((one) => one.classUid === event.class_uid);
  if (definition === undefined) return [`class_uid ${String(event.class_uid)} is unknown`];
  const metadata = event.metadata as { profiles?: string[] } | undefined;
  const profiles = metadata?.profiles ?? [];
  const faults: string[] = [];
  for (const profile of profiles)
    if (!definition.profiles.has(profile)) faults.push(`profile ${profile} is not for it`);
  const attributes = { ...definition.attributes };
  for (const profile of profiles) Object.assign(attributes, profileAttributes(profile, attributes));
  faults.push(...objectFaults(event, { attributes, constraints: definition.constraints }, ''));
  if (event.category_uid !== definition.categoryUid) faults.push('category_uid is not that of the class');
  if (event.type_uid !== (event.class_uid as number) * 100 + (event.activity_id as number))
    faults.push('type_uid is not class_uid * 100 + activity_id');
  return faults;
}

type Attributes = Record<string, Attribute>;
interface Loaded {
  readonly dictionary: Readonly<Record<string, Attribute>>;
  readonly types: Readonly<Record<string, BaseType>>;
  readonly classes: ReadonlyMap<
    string,
    {
      classUid: number;
      categoryUid: number;
      attributes: Attributes;
      profiles: ReadonlySet<string>;
      constraints: Definition['constraints'];
    }
  >;
}

let loaded: Loaded | undefined;

function load(): Loaded {
  if (loaded !== undefined) return loaded;
  const { attributes: dictionary, types } = jsonAt<{ attributes: Attributes; types: { attributes: Loaded['types'] } }>(
    'dictionary.json',
  );
  const categories = jsonAt<{ attributes: Record<string, { uid: number; caption: string }> }>(
    'categories.json',
  ).attributes;
  const definitions = new Map<string, Definition>();
  for (const file of readdirSync(join(folder as string, 'events'), { recursive: true }) as string[]) {
    if (!file.endsWith('.json')) continue;
    const definition = jsonAt<Definition>('events', file);
    definitions.set(definition.name ?? file, definition);
  }
  const lineOf = (name: string): Definition[] => {
    const one = definitions.get(name);
    if (one === undefined) return [];
    return [...(one.extends === undefined ? [] : lineOf(one.extends)), one];
  };
  const classes = new Map();
  for (const [name, { uid, caption = name }] of definitions) {
    if (uid === undefined) continue;
    const line = lineOf(name);
    const category = line.findLast((one) => one.category !== undefined)?.category ?? '';
    const categoryUid = categories[category]?.uid ?? 0;
    classes.set(name, {
      classUid: categoryUid * 1000 + uid,
      categoryUid,
      attributes: merged(line),
      profiles: new Set(line.flatMap((one) => one.profiles ?? [])),
      constraints: line.findLast((one) => one.constraints !== undefined)?.constraints,
    });
    // The values that name the class itself are made by the schema's compiler.
    const own = classes.get(name).attributes;
    own.class_uid = { ...own.class_uid, enum: { [categoryUid * 1000 + uid]: { caption } } };
    own.category_uid = {
      ...own.category_uid,
      enum: { [categoryUid]: { caption: categories[category]?.caption ?? category } },
    };
  }
  loaded = { dictionary, types: types.attributes, classes };
  return loaded;
}

/** Attributes of a definition after those it extends; an enum adds to the one before. */
function merged(line: readonly Definition[]): Attributes {
  const all: Attributes = {};
  for (const { attributes = {} } of line)
    for (const [name, attribute] of Object.entries(attributes as Attributes)) {
      if (name === '$include') continue;
      const before = all[name];
      all[name] = { ...before, ...attribute, ...joined(before, attribute) };
    }
  return all;
}

const joined = (before: Attribute | undefined, attribute: Attribute) =>
  before?.enum === undefined && attribute.enum === undefined ? {} : { enum: { ...before?.enum, ...attribute.enum } };

function profileAttributes(profile: string, before: Attributes): Attributes {
  const { attributes = {} } = jsonAt<Definition>('profiles', `${profile}.json`);
  return Object.fromEntries(
    Object.entries(attributes as Attributes).map(([name, attribute]) => [
      name,
      { ...before[name], ...attribute, ...joined(before[name], attribute) },
    ]),
  );
}

const objects = new Map<string, Pick<Definition, 'constraints'> & { attributes: Attributes }>();

function objectOf(name: string) {
  const known = objects.get(name);
  if (known !== undefined) return known;
  const line: Definition[] = [];
  for (let at: string | undefined = name; at !== undefined && at !== 'object'; at = line[0]?.extends)
    line.unshift(jsonAt<Definition>('objects', `${at}.json`));
  const constraints = line.findLast((one) => one.constraints !== undefined)?.constraints;
  const made = { attributes: merged(line), constraints };
  objects.set(name, made);
  return made;
}

function objectFaults(
  value: Record<string, unknown>,
  { attributes, constraints }: { attributes: Attributes; constraints?: Definition['constraints'] },
  path: string,
): string[] {
  const faults: string[] = [];
  const { dictionary } = load();
  for (const [name, { requirement }] of Object.entries(attributes))
    if (requirement === 'required' && value[name] === undefined) faults.push(`${path}${name} is missing`);
  for (const [name, held] of Object.entries(value)) {
    const attribute = attributes[name];
    if (attribute === undefined) faults.push(`${path}${name} is unknown`);
    else {
      const general = dictionary[name];
      const full = { ...general, ...attribute, ...joined(general, attribute) };
      faults.push(...valueFaults(held, full, `${path}${name}`));
      const caption = full.enum?.[String(held)]?.caption;
      // The caption of an enumerated value is the text beside it, except for "other".
      if (full.sibling !== undefined && value[full.sibling] !== undefined && caption !== undefined && held !== 99)
        if (value[full.sibling] !== caption) faults.push(`${path}${full.sibling} is not ${JSON.stringify(caption)}`);
      if (held === 99 && full.sibling !== undefined && value[full.sibling] === undefined)
        faults.push(`${path}${full.sibling} must say what "other" is`);
    }
  }
  const needed = constraints?.at_least_one;
  if (needed !== undefined && !needed.some((name) => value[name] !== undefined))
    faults.push(`${path || 'event '}needs one of ${needed.join(', ')}`);
  return faults;
}

function valueFaults(value: unknown, attribute: Attribute, path: string): string[] {
  const { type = 'string_t', is_array } = attribute;
  if (is_array !== true) return oneFaults(value, { ...attribute, type }, path);
  if (!Array.isArray(value)) return [`${path} is no array`];
  return value.flatMap((each, at) => oneFaults(each, { ...attribute, type }, `${path}[${at}]`));
}

function oneFaults(value: unknown, { type, enum: allowed }: Attribute & { type: string }, path: string): string[] {
  if (type === 'json_t' || type === 'object') return [];
  if (!type.endsWith('_t')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${path} is no object`];
    return objectFaults(value as Record<string, unknown>, objectOf(type), `${path}.`);
  }
  const faults = scalarFaults(value, type, path);
  const closed = allowed !== undefined && typeof value === 'number';
  if (closed && !Object.hasOwn(allowed, String(value))) faults.push(`${path} ${String(value)} is not in the enum`);
  return faults;
}

function scalarFaults(value: unknown, type: string, path: string): string[] {
  const { types } = load();
  const { type: base, regex, range, max_len } = types[type] ?? {};
  const kind = base ?? type;
  const fits =
    kind === 'boolean_t'
      ? typeof value === 'boolean'
      : kind === 'integer_t' || kind === 'long_t'
        ? Number.isSafeInteger(value)
        : kind === 'float_t'
          ? typeof value === 'number'
          : typeof value === 'string';
  if (!fits) return [`${path} is no ${type}`];
  const faults: string[] = [];
  if (regex !== undefined && !new RegExp(regex).test(String(value))) faults.push(`${path} does not match ${type}`);
  if (range !== undefined && ((value as number) < range[0] || (value as number) > range[1]))
    faults.push(`${path} is outside the range of ${type}`);
  if (max_len !== undefined && String(value).length > max_len) faults.push(`${path} is too long`);
  return faults;
}
