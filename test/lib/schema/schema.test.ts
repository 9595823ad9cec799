import { inspect } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import * as s from '../../../src/lib/schema/index.ts';
import { jsonSchema } from '../../../src/lib/schema/json-schema.ts';

/** The same schema in ours and in zod's words: a judge that is not ours. */
interface Pair {
  readonly ours: s.Schema;
  readonly theirs: z.ZodMiniType;
}

const names = ['a', 'b', 'kind'] as const;
const members = (inner: fc.Arbitrary<Pair>) => fc.dictionary(fc.constantFrom(...names), inner, { maxKeys: 3 });
const split = (pairs: Readonly<Record<string, Pair>>) => ({
  ours: Object.fromEntries(Object.entries(pairs).map(([name, { ours }]) => [name, ours])),
  theirs: Object.fromEntries(Object.entries(pairs).map(([name, { theirs }]) => [name, theirs])),
});

const leaf = fc.constantFrom<Pair>(
  { ours: s.string(), theirs: z.string() },
  {
    ours: s.string().check(s.minLength(1), s.maxLength(3)),
    theirs: z.string().check(z.minLength(1), z.maxLength(3)),
  },
  {
    ours: s.string().check(s.regex(/^x/), s.regex(/y$/)),
    theirs: z.string().check(z.regex(/^x/), z.regex(/y$/)),
  },
  {
    ours: s.string().check(s.refine((text) => text !== 'xy')),
    theirs: z.string().check(z.refine((text) => text !== 'xy')),
  },
  {
    ours: s.string().check(
      s.test((text) => (text.startsWith('x') ? undefined : 'x')),
      s.refine((text) => text !== ''),
    ),
    theirs: z.string().check(
      z.check(({ value, issues }) => void (value.startsWith('x') || issues.push({ code: 'custom', input: value }))),
      z.refine((text) => text !== ''),
    ),
  },
  { ours: s.number(), theirs: z.number() },
  { ours: s.number().check(s.minimum(1), s.maximum(2)), theirs: z.number().check(z.gte(1), z.lte(2)) },
  { ours: s.number().check(s.positive()), theirs: z.number().check(z.positive()) },
  { ours: s.boolean(), theirs: z.boolean() },
  { ours: s.int().check(s.minimum(1), s.maximum(2)), theirs: z.int().check(z.gte(1), z.lte(2)) },
  { ours: s.int().check(s.positive()), theirs: z.int().check(z.positive()) },
  { ours: s.literal('x'), theirs: z.literal('x') },
  { ours: s.literal(true), theirs: z.literal(true) },
  { ours: s.enum(['x', 'xy']), theirs: z.enum(['x', 'xy']) },
  { ours: s.unknown(), theirs: z.unknown() },
);

const pair: fc.Arbitrary<Pair> = fc.letrec<{ pair: Pair }>((tie) => ({
  pair: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    tie('pair').map(({ ours, theirs }) => ({ ours: s.optional(ours), theirs: z.optional(theirs) })),
    tie('pair').map(({ ours, theirs }) => ({ ours: s.nullable(ours), theirs: z.nullable(theirs) })),
    tie('pair').map(({ ours, theirs }) => ({ ours: s.later(() => ours), theirs: z.lazy(() => theirs) })),
    tie('pair').map(({ ours, theirs }) => ({
      ours: s.array(ours).check(s.maxLength(2)),
      theirs: z.array(theirs).check(z.maxLength(2)),
    })),
    tie('pair').map(({ ours, theirs }) => ({
      ours: s.record(s.string().check(s.maxLength(1)), ours),
      theirs: z.record(z.string().check(z.maxLength(1)), theirs),
    })),
    fc.tuple(tie('pair'), tie('pair')).map(([one, other]) => ({
      ours: s.tuple([s.array(one.ours), s.array(other.ours)]),
      theirs: z.tuple([z.array(one.theirs), z.array(other.theirs)]),
    })),
    fc.tuple(members(tie('pair')), members(tie('pair'))).map(([one, other]) => ({
      ours: s.choice('kind', [
        s.strictObject({ ...split(one).ours, kind: s.literal('x') }),
        s.object({ ...split(other).ours, kind: s.literal('xy'), b: s.withDefault(s.int(), 3) }),
      ]),
      theirs: z.discriminatedUnion('kind', [
        z.strictObject({ ...split(one).theirs, kind: z.literal('x') }),
        z.object({ ...split(other).theirs, kind: z.literal('xy'), b: z._default(z.int(), 3) }),
      ]),
    })),
    fc.tuple(tie('pair'), tie('pair')).map(([one, other]) => ({
      ours: s.union([one.ours, other.ours]),
      theirs: z.union([one.theirs, other.theirs]),
    })),
    members(tie('pair')).map((pairs) => ({
      ours: s.object(split(pairs).ours),
      theirs: z.object(split(pairs).theirs),
    })),
    members(tie('pair')).map((pairs) => ({
      ours: s.strictObject(split(pairs).ours).check(s.refine((value) => Object.keys(value).length < 3)),
      theirs: z.strictObject(split(pairs).theirs).check(z.refine((value) => Object.keys(value).length < 3)),
    })),
    fc.tuple(members(tie('pair')), tie('pair')).map(([pairs, rest]) => ({
      ours: s.catchall(s.object(split(pairs).ours), rest.ours),
      theirs: z.catchall(z.object(split(pairs).theirs), rest.theirs),
    })),
  ),
})).pair;

const scalar = fc.constantFrom<unknown>(
  '',
  '😀',
  'x😀y',
  'x😀y😀',
  2 ** 60,
  -(2 ** 60),
  'x',
  'xy',
  'xyz',
  'long',
  0,
  1,
  2,
  3,
  1.5,
  -1,
  true,
  false,
  null,
);
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...names, 'other'), tie('value'), { maxKeys: 4 }),
  ),
})).value;

/** Where it does not fit. */
const places = (issues: readonly { readonly path: readonly PropertyKey[] }[]) =>
  new Set(issues.map(({ path }) => path.join('.')));

/** Names that are refused. Zod asks nothing of what they name; ours does, as that is no reason not to look at it. */
const isBelow = (names: ReadonlySet<string>, place: string) => [...names].some((name) => place.startsWith(`${name}.`));

describe('a schema', () => {
  it('accepts what zod accepts by the same schema, reads it as the same, and refuses the rest in the same places', () => {
    let taken = 0;
    fc.assert(
      fc.property(pair, value, ({ ours, theirs }, given) => {
        const own = s.safeParse(ours, given);
        const judged = z.safeParse(theirs, given);
        expect(own.success).toBe(judged.success);
        if (own.success) expect(own.data).toEqual(judged.data);
        if (own.success) taken++;
        const issues = judged.error?.issues ?? [];
        const refused = places(issues.filter(({ code }) => code === 'invalid_key'));
        const told = [...places(own.error?.issues ?? [])].filter((place) => !isBelow(refused, place));
        expect(told.sort()).toEqual([...places(issues)].sort());
      }),
      { numRuns: 10_000, seed: 6 },
    );
    expect(taken).toBeGreaterThan(700);
  });

  it('says in JSON Schema what zod says', () => {
    const accepts = (schema: object) => {
      const { $schema: _, ...keywords } = schema as { readonly $schema?: string };
      return new Ajv2020({ strict: false }).compile(keywords);
    };
    fc.assert(
      fc.property(pair, fc.array(value, { minLength: 20, maxLength: 20 }), ({ ours, theirs }, values) => {
        const [own, judged] = [accepts(jsonSchema(ours)), accepts(z.toJSONSchema(theirs, { io: 'input' }))];
        for (const given of values) expect(own(given)).toBe(judged(given));
      }),
      { numRuns: 60, seed: 6 },
    );
  });

  it('says in JSON Schema every limit that a keyword can say', () => {
    const text = s.string().check(s.minLength(1), s.minLength(2), s.maxLength(9), s.regex(/^a/), s.regex(/b$/));
    const schema = s.strictObject({
      text,
      count: s.int().check(s.minimum(1), s.minimum(3), s.maximum(9)),
      size: s.withDefault(s.int().check(s.positive()), 5),
      either: s.union([s.string(), s.optional(s.number())]),
      names: s.record(s.string().check(s.maxLength(3)), s.boolean()),
    });
    expect(jsonSchema(schema)).toEqual({
      type: 'object',
      properties: {
        text: { type: 'string', minLength: 2, maxLength: 9, allOf: [{ pattern: '^a' }, { pattern: 'b$' }] },
        count: { type: 'integer', minimum: 3, maximum: 9 },
        size: { default: 5, type: 'integer', exclusiveMinimum: 0, maximum: Number.MAX_SAFE_INTEGER },
        either: { type: ['string', 'number'] },
        names: {
          type: 'object',
          propertyNames: { type: 'string', maxLength: 3 },
          additionalProperties: { type: 'boolean' },
        },
      },
      required: ['text', 'count', 'names'],
      additionalProperties: false,
    });
  });

  it('tells everything at once, each where it is, and never what was given', () => {
    const one = s.strictObject({ name: s.string().check(s.minLength(2, 'a name')), tags: s.array(s.enum(['a', 'b'])) });
    const { error } = s.safeParse(s.record(s.string(), one), {
      first: { name: 'x', tags: ['a', 'hunter2'], more: 'hunter2' },
      second: 'hunter2',
    });
    expect(error?.issues.map(({ path, code }) => [path.join('.'), code])).toEqual([
      ['first.name', 'too_small'],
      ['first.tags.1', 'invalid_value'],
      ['first', 'unrecognized_keys'],
      ['second', 'invalid_type'],
    ]);
    expect(error?.message).toContain('first.name: a name');
    const printed = [
      error?.message,
      error?.stack,
      inspect(error, { depth: 9, showHidden: true }),
      JSON.stringify(error),
    ];
    expect(printed.join()).not.toContain('hunter2');
  });

  it('prints the first few of many faults, and tells all of them', () => {
    const { error } = s.safeParse(s.array(s.int()), Array(10_000).fill('x'));
    expect(error?.issues).toHaveLength(10_000);
    expect(error?.message).toMatch(/^0: invalid_type; .*; 7: invalid_type; 9992 more$/);
  });

  it('tells once that a list is too long, and looks at none of its entries', () => {
    let looked = 0;
    const entry = s.string().check(s.refine(() => ++looked < 0));
    const few = s.array(entry).check(s.minLength(1), s.maxLength(2, 'two at most'));
    const asked = few.check(s.refine(() => ++looked < 0));
    const { error } = s.safeParse(s.object({ names: asked }), { names: Array(100_000).fill('x') });
    expect(error?.issues).toEqual([
      { code: 'too_big', origin: 'array', maximum: 2, inclusive: true, message: 'two at most', path: ['names'] },
    ]);
    expect(looked).toBe(0);
    expect(s.safeParse(asked, ['x', 'x']).error?.issues).toHaveLength(3);
  });

  it('tells that a list is too short beside what is wrong with its entries', () => {
    const { error } = s.safeParse(s.array(s.int()).check(s.minLength(2)), ['x']);
    expect(error?.issues.map(({ code }) => code)).toEqual(['invalid_type', 'too_small']);
  });

  it('tells every one of very many faults in the list that was meant', () => {
    const names = s.array(s.string().check(s.minLength(1)));
    const { error } = s.safeParse(s.union([names, s.strictObject({ names })]), Array(300_000).fill(''));
    expect(error?.issues).toHaveLength(300_000);
  });

  it('asks of what is near one of several what is asked of each of them', () => {
    const either = s
      .union([s.string().check(s.minLength(2)), s.int()])
      .check(s.refine((value) => value !== 'x', 'no x'));
    expect(s.safeParse(either, 'x').error?.issues.map(({ code }) => code)).toEqual(['too_small', 'custom']);
    const both = s.union([s.string().check(s.minLength(2)), s.string().check(s.regex(/y$/))]);
    expect(s.safeParse(both, 'x').error?.issues).toMatchObject([
      { code: 'invalid_union', errors: [[{ code: 'too_small' }], [{ code: 'invalid_format' }]] },
    ]);
    expect(s.safeParse(either, true).error?.issues.map(({ code }) => code)).toEqual(['invalid_union']);
  });

  it('counts characters as JSON Schema does, not halves of them', () => {
    const schema = s.string().check(s.minLength(2), s.maxLength(3));
    const judge = new Ajv2020().compile(jsonSchema(schema));
    const texts = [
      '',
      'a',
      '😀',
      '\ud83d',
      'a😀',
      '😀😀',
      'abc',
      '😀😀😀',
      'a😀😀',
      'abcd',
      '😀'.repeat(4),
      '\ude00\ud83d\ude00',
    ];
    for (const text of texts) expect([text, s.safeParse(schema, text).success]).toEqual([text, judge(text)]);
  });

  it('asks of the whole although a member is not known, and not after a test has found that it is none', () => {
    const rule = s
      .strictObject({ min: s.optional(s.int()), max: s.optional(s.int()) })
      .check(s.refine(({ min, max }) => min !== undefined || max !== undefined, 'min, max or both'));
    expect(s.safeParse(rule, { least: 1 }).error?.issues).toMatchObject([
      { code: 'unrecognized_keys', keys: ['least'] },
      { code: 'custom', message: 'min, max or both' },
    ]);
    const beside = s.safeParse(s.object({ other: s.int(), rule }), { other: 'x', rule: { least: 1 } });
    expect(beside.error?.issues.map(({ path }) => path.join('.'))).toEqual(['other', 'rule', 'rule']);
    const origin = s.string().check(
      s.test((text) => (URL.canParse(text) ? undefined : 'no URL')),
      s.refine((text) => new URL(text).pathname === '/', 'no path'),
    );
    expect(s.safeParse(origin, 'x').error?.issues).toEqual([{ code: 'custom', message: 'no URL', path: [] }]);
    expect(s.safeParse(origin, 'https://a.example/x').error?.issues).toMatchObject([{ message: 'no path' }]);
  });

  it('says of a whole number which a double does not hold that it is too large, and that a hole is no entry', () => {
    const codes = (value: number) => s.safeParse(s.int(), value).error?.issues.map(({ code }) => code);
    expect([2 ** 53 - 1, 2 ** 53, -(2 ** 53), 1.5, Number.NaN, Number.POSITIVE_INFINITY].map(codes)).toEqual([
      undefined,
      ['too_big'],
      ['too_small'],
      ['invalid_type'],
      ['invalid_type'],
      ['invalid_type'],
    ]);
    expect(s.safeParse(s.array(s.string()), Object.assign([], { 1: 'x' })).success).toBe(false);
    const numbers = [0, -1.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1n, '1'];
    expect(numbers.filter((value) => s.safeParse(s.number(), value).success)).toEqual([0, -1.5]);
  });

  it('takes the bounds of a range, and not the bound of what is positive', () => {
    const accepted = (schema: s.Schema, values: readonly unknown[]) =>
      values.filter((value) => s.safeParse(schema, value).success);
    expect(accepted(s.int().check(s.minimum(1), s.maximum(3)), [0, 1, 2, 3, 4])).toEqual([1, 2, 3]);
    expect(accepted(s.int().check(s.positive()), [-1, 0, 1])).toEqual([1]);
    expect(accepted(s.string().check(s.minLength(1), s.maxLength(2)), ['', 'a', 'ab', 'abc'])).toEqual(['a', 'ab']);
    expect(accepted(s.array(s.int()).check(s.minLength(1), s.maxLength(2)), [[], [1], [1, 2], [1, 2, 3]])).toEqual([
      [1],
      [1, 2],
    ]);
  });

  it('says in its own words what it wants, where it has some', () => {
    const two = s.union([s.literal(1), s.literal(2)], 'one or two');
    const schemas = [s.string('a name'), s.literal(true, 'yes'), s.enum(['a', 'b'], 'a or b'), two];
    const told = schemas.map((schema) => s.safeParse(schema, 3).error?.issues.map(({ message }) => message));
    expect(told).toEqual([['a name'], ['yes'], ['a or b'], ['one or two']]);
    expect(s.safeParse(s.string(), 3).error?.issues[0]).not.toHaveProperty('message');
  });

  it('asks whatever needs a whole value only of a whole value', () => {
    const asked: unknown[] = [];
    const schema = s.strictObject({ at: s.int() }).check(s.test((value) => void asked.push(value)));
    expect(s.safeParse(schema, { at: 'x' }).success).toBe(false);
    expect(s.safeParse(schema, []).success).toBe(false);
    expect(s.safeParse(schema, { at: 1 }).success).toBe(true);
    expect(asked).toEqual([{ at: 1 }]);
  });

  it('takes the members of an object from the object alone', () => {
    const given = JSON.parse('{"__proto__":{"a":"x"}}');
    const loose = s.catchall(s.object({ a: s.optional(s.string()) }), s.unknown());
    expect(s.safeParse(s.strictObject({ a: s.optional(s.string()) }), given).success).toBe(false);
    expect(Object.entries(s.parse(loose, given))).toEqual([['__proto__', { a: 'x' }]]);
    expect(s.parse(s.object({ toString: s.optional(s.string()) }), {})).toEqual({});
    const named = s.parse(s.record(s.string(), s.unknown()), given);
    expect([Object.keys(named), Object.getPrototypeOf(named)]).toEqual([['__proto__'], Object.prototype]);
    expect(s.safeParse(s.strictObject({}), { toString: 'x', constructor: 'y' }).error?.issues).toMatchObject([
      { code: 'unrecognized_keys', keys: ['toString', 'constructor'] },
    ]);
    const inherited = Object.create({ kind: 'x', a: 'x' });
    expect(s.safeParse(s.object({ a: s.string() }), inherited).success).toBe(false);
    expect(s.safeParse(s.choice('kind', [s.object({ kind: s.literal('x') })]), inherited).success).toBe(false);
  });

  it('finds one of several objects by the member that says which', () => {
    const schema = s.choice('kind', [
      s.strictObject({ kind: s.literal('file'), path: s.string() }),
      s.strictObject({ kind: s.literal('env') }),
    ]);
    expect(s.parse(schema, { kind: 'env' })).toEqual({ kind: 'env' });
    expect(() => s.parse(schema, { kind: 'file' })).toThrow('path: invalid_type');
    expect(() => s.parse(schema, { kind: 'toString' })).toThrow('kind: invalid_value');
    expect(() => s.parse(schema, { path: 'x' })).toThrow('kind: invalid_value');
    expect(() => s.parse(schema, 'env')).toThrow('value: invalid_type');
  });

  it('has two entries in a tuple, and its default where nothing is given', () => {
    const schema = s.strictObject({ users: s.tuple([s.string(), s.string()]), size: s.withDefault(s.int(), 32) });
    expect(s.parse(schema, { users: ['a', 'b'] })).toEqual({ users: ['a', 'b'], size: 32 });
    expect(s.safeParse(schema, { users: ['a', 'b'], size: null }).success).toBe(false);
    for (const users of [['a'], ['a', 'b', 'c'], ['a', 1], 'ab'])
      expect(s.safeParse(schema, { users }).success).toBe(false);
    expect(jsonSchema(schema)).toMatchObject({
      properties: { users: { minItems: 2, maxItems: 2, items: false }, size: { type: 'integer', default: 32 } },
      required: ['users'],
    });
  });

  it('keeps a member that is given as undefined, makes none of one that is absent, and keeps their order', () => {
    const schema = s.catchall(s.object({ b: s.optional(s.int()), a: s.optional(s.int()) }), s.unknown());
    expect(Object.entries(s.parse(schema, { c: 1, a: 2, b: undefined }))).toEqual([
      ['b', undefined],
      ['a', 2],
      ['c', 1],
    ]);
    expect(Object.keys(s.parse(schema, { a: 2 }))).toEqual(['a']);
  });

  it('is left as it is by whoever makes a stricter one of it', () => {
    const text = s.string().check(s.minLength(1));
    const short = text.check(s.maxLength(2));
    expect([text, short].map((schema) => s.safeParse(schema, 'abc').success)).toEqual([true, false]);
    expect(s.safeParse(short, '').success).toBe(false);
  });

  it('is made of another, without what that asked of the whole', () => {
    const schema = s.strictObject({ a: s.string(), b: s.string() }).check(s.refine(() => false));
    expect(s.parse(s.omit(schema, 'b'), { a: 'x' })).toEqual({ a: 'x' });
    expect(s.parse(s.extend(schema, { b: s.int() }), { a: 'x', b: 1 })).toEqual({ a: 'x', b: 1 });
    expect(s.safeParse(s.omit(schema, 'b'), { a: 'x', b: 'y' }).success).toBe(false);
    expect(s.safeParse(s.extend(schema, { b: s.int() }), { a: 'x', b: 1, c: 'y' }).success).toBe(false);
  });
});

describe('later', () => {
  it('builds nothing before it is asked about a value, and then once', () => {
    let built = 0;
    const schema = s.later(() => {
      built++;
      return s.string().check(s.minLength(2));
    });
    const within = s.strictObject({ a: s.optional(schema), b: s.array(schema) });
    expect(s.safeParse(within, { b: [] }).success).toBe(true);
    expect(built).toBe(0);
    expect(s.safeParse(within, { a: 'aa', b: ['bb'] }).success).toBe(true);
    expect(s.safeParse(within, { a: 'a', b: [] }).success).toBe(false);
    expect(built).toBe(1);
    const longer = schema.check(s.minLength(3));
    expect(s.safeParse(longer, 'aa').success).toBe(false);
    expect(s.safeParse(longer, 'aaa').success).toBe(true);
  });
});
