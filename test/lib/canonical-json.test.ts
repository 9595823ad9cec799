import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
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
