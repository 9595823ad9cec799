import { describe, expect, test } from 'vitest';
import { isSegmentPattern, matchesSegments } from '../../src/lib/segments.ts';

describe('matching segments', () => {
  test.each([
    ['acme/shop', 'acme/shop'],
    ['acme/*', 'acme/shop'],
    ['acme/*', 'acme/*'],
    ['acme/*/x', 'acme/shop/x'],
    ['ns:*:sa:*', 'ns:shop:sa:web'],
    ['a/*:b', 'a/x:b'],
    ['a//*', 'a//x'],
    ['a*b', 'a*b'],
    ['', ''],
  ])('%s matches %s', (pattern, value) => {
    expect(matchesSegments(pattern, value)).toBe(true);
  });

  test.each([
    ['acme/*', 'acme/'],
    ['acme/*', 'acme'],
    ['acme/*', 'acme/a/b'],
    ['acme/*', 'acme/a:b'],
    ['acme/*', 'acme:a'],
    ['acme/*', 'acme-evil/a'],
    ['acme/*', '/acme/a'],
    ['acme/*/x', 'acme/a/b/x'],
    ['acme/*/x', 'acme//x'],
    ['a*b', 'axb'],
    ['acme/sh*', 'acme/shop'],
    ['acme/shop', 'acme/shop\n'],
    ['acme/*', ''],
    ['a/*/', 'a/b'],
    ['a/*', 'a/b/'],
  ])('%s does not match %j', (pattern, value) => {
    expect(matchesSegments(pattern, value)).toBe(false);
  });

  test('a star in the value is no wildcard', () => {
    expect(matchesSegments('acme/shop', 'acme/*')).toBe(false);
  });
});

test('a pattern has whole stars only, and never as its first segment', () => {
  for (const pattern of ['a/*', 'a:*/b', 'a', 'a/*/*', '']) expect(isSegmentPattern(pattern), pattern).toBe(true);
  for (const pattern of ['*', '*/a', '*:a', 'a/b*', 'a/*b', 'a/**', 'a*']) {
    expect(isSegmentPattern(pattern), pattern).toBe(false);
  }
});
