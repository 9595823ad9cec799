import type { AnySchema } from './any-schema.ts';
import type { ObjectSchema } from './object.ts';
import type { Limits, Schema } from './schema.ts';

/**
 * What a schema takes, as JSON Schema (draft 2020-12), without what only a function can say. For documents that are made
 * at build time; `about` gives a schema a description.
 */
export function jsonSchema(schema: Schema, about: ReadonlyMap<Schema, string> = new Map()): object {
  const description = about.get(schema);
  return { ...(description === undefined ? {} : { description }), ...keywordsOf(schema as AnySchema, about) };
}

function keywordsOf(schema: AnySchema, about: ReadonlyMap<Schema, string>): object {
  const of = (inner: Schema) => jsonSchema(inner, about);
  const { minimum, maximum, exclusiveMinimum, patterns } = limitsOf(schema);
  switch (schema.kind) {
    case 'plain':
      return schema.type === 'string'
        ? { type: 'string', ...given({ minLength: minimum, maxLength: maximum }), ...patternsOf(patterns) }
        : { type: schema.type, ...given({ exclusiveMinimum, minimum, maximum }) };
    case 'int': {
      const { MIN_SAFE_INTEGER: least, MAX_SAFE_INTEGER: most } = Number;
      const lower = exclusiveMinimum === undefined ? { minimum: minimum ?? least } : { exclusiveMinimum };
      return { type: 'integer', ...lower, maximum: maximum ?? most };
    }
    case 'values': {
      const { values } = schema;
      return values.length === 1 && !schema.choice
        ? { type: typeof values[0], const: values[0] }
        : { type: 'string', enum: values };
    }
    case 'unknown':
      return {};
    case 'optional':
    case 'later':
      return of(schema.inner);
    case 'default':
      return { default: schema.value, ...of(schema.inner) };
    case 'nullable':
      return anyOf([of(schema.inner), { type: 'null' }]);
    case 'array':
      return { ...given({ minItems: minimum, maxItems: maximum }), type: 'array', items: of(schema.item) };
    case 'tuple': {
      const { length } = schema.items;
      return { type: 'array', prefixItems: schema.items.map(of), items: false, minItems: length, maxItems: length };
    }
    case 'record':
      return { type: 'object', propertyNames: of(schema.key), additionalProperties: of(schema.value) };
    case 'union':
      return anyOf(schema.options.map(of));
    case 'choice':
      return { oneOf: schema.options.map(of) };
    case 'object':
      return objectKeywords(schema, of);
  }
}

function anyOf(options: readonly { readonly type?: unknown }[]): object {
  const plain = options.every((option) => 'type' in option && Object.keys(option).length === 1);
  return plain ? { type: [...new Set(options.flatMap(({ type }) => type))] } : { anyOf: options };
}

function objectKeywords({ shape, rest }: ObjectSchema, of: (schema: Schema) => object): object {
  const members = Object.entries(shape);
  const required = members.flatMap(([name, member]) => (mayMiss(member) ? [] : [name]));
  return {
    type: 'object',
    properties: Object.fromEntries(members.map(([name, member]) => [name, of(member)])),
    ...(required.length > 0 && { required }),
    ...(rest === 'dropped' ? {} : { additionalProperties: rest === 'refused' ? false : of(rest) }),
  };
}

/** Whether a member of this schema may be left out. */
export function mayMiss(schema: Schema): boolean {
  const one = schema as AnySchema;
  if (one.kind === 'union') return one.options.some(mayMiss);
  if (one.kind === 'later' || one.kind === 'nullable') return mayMiss(one.inner);
  return one.kind === 'optional' || one.kind === 'default';
}

/** The narrowest of what the checks say. */
function limitsOf({ checks }: Schema): Omit<Limits, 'pattern'> & { readonly patterns: readonly string[] } {
  const limits = checks.map((check) => check.limits ?? {});
  const of = (name: 'minimum' | 'maximum' | 'exclusiveMinimum') => limits.flatMap(({ [name]: limit }) => limit ?? []);
  return {
    ...given({
      minimum: narrowest(of('minimum'), Math.max),
      maximum: narrowest(of('maximum'), Math.min),
      exclusiveMinimum: narrowest(of('exclusiveMinimum'), Math.max),
    }),
    patterns: limits.flatMap(({ pattern }) => pattern ?? []),
  };
}

const narrowest = (limits: readonly number[], pick: (...limits: number[]) => number) =>
  limits.length === 0 ? undefined : pick(...limits);

const patternsOf = (patterns: readonly string[]) =>
  patterns.length < 2 ? given({ pattern: patterns[0] }) : { allOf: patterns.map((pattern) => ({ pattern })) };

function given<T extends object>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}
