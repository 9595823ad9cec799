import { expect, test } from 'vitest';
import { nearest } from '../../src/lib/suggest.ts';

const names = ['repository', 'repository_id', 'repository_owner_id', 'ref', 'environment'];

test.each([
  ['repositry', 'repository'],
  ['repository-id', 'repository_id'],
  ['rep', 'ref'],
  ['enviroment', 'environment'],
])('%s is probably %s', (typo, meant) => {
  expect(nearest(typo, names)).toBe(meant);
});

test('a name unlike all others gets no suggestion', () => {
  expect(nearest('workflow', names)).toBeUndefined();
  expect(nearest('x', [])).toBeUndefined();
  expect(nearest('', ['abc'])).toBeUndefined();
});

test('the nearest wins, the first of equals', () => {
  expect(nearest('abcd', ['abcx', 'abcd1', 'abc'])).toBe('abcx');
});

test('a name of any length is compared by its first 64 characters', () => {
  const long = 'a'.repeat(100_000);
  expect(nearest(long, [`${long}b`, 'short'])).toBe(`${long}b`);
});
