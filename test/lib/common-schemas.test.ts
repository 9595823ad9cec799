import { describe, expect, it } from 'vitest';
import { durationSchema, refSchema, urlSchema } from '../../src/lib/common-schemas.ts';
import * as s from '../../src/lib/schema/index.ts';

const accepts = (schema: s.Schema, value: unknown) => s.safeParse(schema, value).success;

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
    const result = s.safeParse(urlSchema, 'http://a.example');
    expect(result.error?.issues[0]?.message).toBe('http is for loopback only; use https');
  });
});
