import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseStrictJson } from '../../src/lib/strict-json.ts';

const folder = `${process.env.HALLPASS_VECTORS ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url))}/json-test-suite/test_parsing`;
const files = (() => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
})();

function accepts(file: string): boolean {
  try {
    parseStrictJson(readFileSync(`${folder}/${file}`), 64);
    return true;
  } catch {
    return false;
  }
}

// Well-formed by RFC 8259, which only says members SHOULD be unique.
const refusedOnPurpose = ['y_object_duplicated_key.json', 'y_object_duplicated_key_and_value.json'];

// What RFC 8259 leaves open and this parser takes: each is harmless here (a double that is rounded, or underflows).
const openAndAccepted = [
  'i_number_double_huge_neg_exp.json',
  'i_number_real_underflow.json',
  'i_number_too_big_neg_int.json',
  'i_number_too_big_pos_int.json',
  'i_number_very_big_negative_int.json',
];

describe.skipIf(files.length === 0)('JSONTestSuite', () => {
  test('every valid text is accepted but those with duplicate members', () => {
    const refused = files.filter((file) => file.startsWith('y_') && !accepts(file));
    expect(refused.sort()).toEqual(refusedOnPurpose);
  });

  test('no invalid text is accepted', () => {
    const invalid = files.filter((file) => file.startsWith('n_'));
    expect(invalid.length).toBeGreaterThan(150);
    expect(invalid.filter(accepts)).toEqual([]);
  });

  test('of what the RFC leaves open only rounded numbers are accepted', () => {
    expect(files.filter((file) => file.startsWith('i_') && accepts(file)).sort()).toEqual(openAndAccepted);
  });
});
