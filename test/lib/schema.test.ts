import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { durationSchema, later, refSchema, shapeOf, urlSchema } from '../../src/lib/schema.ts';

const accepts = (schema: z.core.$ZodType, value: unknown) => z.safeParse(schema, value).success;

describe('later', () => {
  const text = () => z.string().check(z.minLength(2));

  it('builds nothing before it is asked about a value, and then once', () => {
    let built = 0;
    const schema = later(() => {
      built++;
      return text();
    });
    const within = z.strictObject({ a: z.optional(schema), b: z.array(schema) });
    expect(accepts(within, { b: [] })).toBe(true);
    expect(built).toBe(0);
    expect(accepts(within, { a: 'aa', b: ['bb'] })).toBe(true);
    expect(accepts(within, { a: 'a', b: [] })).toBe(false);
    expect(built).toBe(1);
  });

  it('is what z.lazy is to a parent, to what is told of a fault and to a JSON Schema', () => {
    const of = (deferred: (build: () => z.ZodMiniType) => z.ZodMiniType) => {
      const item = deferred(text);
      return z.strictObject({
        one: item,
        list: z.array(item),
        maybe: z.optional(item),
        either: z.union([item, z.number()]),
        map: z.record(z.string(), item),
      });
    };
    const [ours, theirs] = [of(later), of((build) => z.lazy(build))];
    const good = { one: 'aa', list: ['bb'], either: 1, map: { a: 'cc' } };
    for (const value of [
      good,
      {},
      { ...good, one: 'a' },
      { ...good, maybe: 1 },
      { ...good, list: [''], either: '' },
      { ...good, map: { a: 1 } },
    ])
      expect(z.safeParse(ours, value)).toEqual(z.safeParse(theirs, value));
    expect(z.toJSONSchema(ours)).toEqual(z.toJSONSchema(theirs));
    expect(later(text)).toBeInstanceOf(z.ZodMiniLazy);
    expect(Object.keys(shapeOf(later(() => z.strictObject({ a: z.string() }))))).toEqual(['a']);
  });
});

describe('durationSchema', () => {
  it.each(['30s', '15m', '1h'])('accepts %s between its bounds', (text) => {
    expect(accepts(durationSchema(30, 3600), text)).toBe(true);
  });

  it.each(['29s', '61m', '1d', '15', 15, '0s', '-1m', '1.5h', '15 m', '15M', '', '9999999999d', null])(
    'refuses %j',
    (value) => {
      expect(accepts(durationSchema(30, 3600), value)).toBe(false);
    },
  );
});

describe('refSchema', () => {
  it('accepts a store and a name, with version and field where wanted', () => {
    expect(accepts(refSchema, { store: 's', name: 'n' })).toBe(true);
    expect(accepts(refSchema, { store: 's', name: 'n', version: '1', field: 'f' })).toBe(true);
  });

  it.each(['hunter2', { store: 's' }, { name: 'n' }, { store: '', name: 'n' }, { store: 's', name: 'n', value: 'x' }])(
    'refuses %j where a secret belongs',
    (value) => {
      expect(accepts(refSchema, value)).toBe(false);
    },
  );
});

describe('urlSchema', () => {
  it('accepts https, and http on loopback', () => {
    expect(accepts(urlSchema, 'https://a.example/x')).toBe(true);
    expect(accepts(urlSchema, 'http://127.0.0.1:8787')).toBe(true);
  });

  it('says what is wrong with any other URL', () => {
    const result = z.safeParse(urlSchema, 'http://a.example');
    expect(result.error?.issues[0]?.message).toBe('http is for loopback only; use https');
  });
});
