import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromUtf8, toHex, toUtf8 } from '../../src/lib/bytes.ts';
import { canonicalJson } from '../../src/lib/canonical-json.ts';
import { parseStrictJson } from '../../src/lib/strict-json.ts';

const vectors = process.env.HALLPASS_VECTORS ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));
const folder = `${vectors}/jcs/testdata`;
const files = (() => {
  try {
    return readdirSync(`${folder}/input`);
  } catch {
    return [];
  }
})();

describe.skipIf(files.length === 0)('the RFC 8785 vectors (folder by HALLPASS_VECTORS)', () => {
  test.each(files)('%s comes out byte for byte', (file) => {
    const text = canonicalJson(parseStrictJson(readFileSync(`${folder}/input/${file}`)));
    const expected = readFileSync(`${folder}/outhex/${file.replace('.json', '.txt')}`, 'utf8').replaceAll(/\s/g, '');
    expect(toHex(toUtf8(text))).toBe(expected);
    expect(text).toBe(fromUtf8(readFileSync(`${folder}/output/${file}`)));
  });

  test('there are six', () => {
    expect(files).toHaveLength(6);
  });
});

// RFC 8785 appendix B.
test.each([
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
])('the double %s is written %s', (hex, text) => {
  expect(canonicalJson(Buffer.from(hex, 'hex').readDoubleBE())).toBe(text);
});

test('members sort by UTF-16 code units, at every depth', () => {
  expect(canonicalJson({ '\u{1f600}': 1, '\ufb33': 2, b: { z: 1, a: 2 }, B: 3 })).toBe(
    '{"B":3,"b":{"a":2,"z":1},"\u{1f600}":1,"\ufb33":2}',
  );
});

test('members that are undefined are left out, and __proto__ is data', () => {
  expect(canonicalJson({ a: undefined, b: 1, c: undefined })).toBe('{"b":1}');
  expect(canonicalJson(JSON.parse('{"__proto__":{"x":1}}'))).toBe('{"__proto__":{"x":1}}');
});

test.each([
  ['NaN', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['a lone surrogate', '\ud800'],
  ['a lone surrogate in a name', { '\udc00': 1 }],
  ['a bigint', 1n],
  ['a function', () => 1],
  ['undefined in a list', [undefined]],
])('%s is refused', (_, value) => {
  expect(() => canonicalJson(value as never)).toThrow(TypeError);
});

describe('the order of members', () => {
  /** RFC 8785 as plainly as it can be said. */
  const plainly = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(plainly).join(',')}]`;
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    const members = Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, inner]) => `${JSON.stringify(name)}:${plainly(inner)}`).join(',')}}`;
  };
  // U+FB33 comes after the surrogates of U+1F600, though its code point is lower.
  const name = fc.oneof(
    fc.string(),
    fc.constantFrom('', '"', '\\', 'a', 'aa', 'b', 'Z', '\u{1f600}', '\ufb33', '\u0000', '10', '9'),
  );

  test('is that of UTF-16 code units, in objects of few members and of many', () => {
    const some = fc.dictionary(name, fc.oneof(fc.integer(), fc.string(), fc.constant(undefined)), { maxKeys: 60 });
    fc.assert(
      fc.property(some, fc.dictionary(name, some, { maxKeys: 4 }), (flat, deep) => {
        for (const value of [flat, deep]) expect(canonicalJson(value)).toBe(plainly(value));
      }),
      { numRuns: 300 },
    );
  });

  test('stays right for more names than are remembered, and for long ones', () => {
    for (let at = 0; at < 700; at++) {
      const value = { [`n${at}"`]: 1, [`m${at}`]: { [`${'l'.repeat(80)}${at}`]: 2 } };
      expect(canonicalJson(value)).toBe(plainly(value));
      expect(canonicalJson(value)).toBe(plainly(value));
    }
  });

  test('refuses a name that is no text each time it is met', () => {
    for (let time = 0; time < 2; time++) expect(() => canonicalJson({ '\ud800': 1 })).toThrow(TypeError);
  });
});
