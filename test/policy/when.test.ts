import { describe, expect, test } from 'vitest';
import { type JsonObject, parseStrictJsonObject } from '../../src/lib/strict-json.ts';
import { readPlainWhen } from '../../src/policy/plain-when.ts';
import { compileWhen } from '../../src/policy/when.ts';
import { anyIdentity, grant, grantFaults, outcome, policyOf } from './fixtures.ts';

const evaluate = (text: string, claims: JsonObject = {}, subject = 'sub'): boolean => {
  const compiled = compileWhen(text);
  if ('fault' in compiled) throw new Error(compiled.fault);
  return compiled.when(anyIdentity(subject, claims));
};

const faultOf = (text: string): string | undefined => {
  const compiled = compileWhen(text);
  return 'fault' in compiled ? compiled.fault : undefined;
};

describe('a when', () => {
  const claims = {
    'kubernetes.io': { pod: { name: 'checkout-7' } },
    groups: ['ops', 'dev'],
    n: 1,
    f: 1.5,
    ok: true,
    nothing: null,
    constructor: 'x',
  } as unknown as JsonObject;

  test.each([
    'claims["kubernetes.io"].pod.name.startsWith("checkout-")',
    'claims.groups.exists(g, g == "ops")',
    'claims.groups.all(g, g in ["ops", "dev"])',
    '"ops" in claims.groups',
    'size(claims.groups) == 2',
    'claims.groups.filter(g, g != "dev").size() == 1',
    'claims.n == 1',
    'claims.n < 2 && claims.n >= 1.0',
    'int(claims.n) + 1 == 2',
    'claims.f > 1',
    'claims.ok',
    'claims.nothing == null',
    'has(claims.n) && !has(claims.m)',
    'claims.constructor == "x"',
    'subject == "sub" && issuer == "any"',
    'claims.groups[0].contains("p")',
    'claims.groups.exists(g, g.contains("op") && size(g) == 3 && claims.n == 1)',
    'claims.groups.exists(g, !subject.startsWith(g) && g != subject)',
  ])('%s holds', (text) => {
    expect(evaluate(text, claims)).toBe(true);
  });

  test.each([
    ['a missing claim', 'claims.m == 1'],
    ['a missing claim, negated', '!(claims.m == 1)'],
    ['a claim of another type', 'claims.n.startsWith("1")'],
    ['text for a number', 'claims.n == "1"'],
    ['a value that is not a boolean', 'claims.n'],
    ['a value that is a text', 'claims.groups[0]'],
    ['an index out of range', 'claims.groups[9] == "ops"'],
    ['an error in a loop', 'claims.groups.all(g, g > 1)'],
    ['an error inside all', 'claims.groups.all(g, g.missing == 1)'],
    ['a list that is none', 'claims.n.exists(x, x == 1)'],
    ['inherited properties', 'claims.toString == 1 || has(claims.__proto__)'],
  ])('denies on %s', (_, text) => {
    expect(evaluate(text, claims)).toBe(false);
  });

  test('denies when it touches a list of more than 256 or a text of more than 2,048, and not otherwise', () => {
    const big = {
      list: Array.from({ length: 257 }, () => 'a'),
      text: 'a'.repeat(2049),
      fits: Array(256).fill('a'),
      n: 1,
    };
    expect(evaluate('claims.list.exists(x, x == "a")', big)).toBe(false);
    expect(evaluate('size(claims.list) == 257', big)).toBe(false);
    expect(evaluate('claims.text.startsWith("a")', big)).toBe(false);
    expect(evaluate('claims.fits.all(x, x == "a") && claims.n == 1', big)).toBe(true);
    const wide = Object.fromEntries(Array.from({ length: 257 }, (_, at) => [`k${at}`, 1]));
    expect(evaluate('claims.wide.all(k, k != "x")', { wide })).toBe(false);
    expect(evaluate('claims.k0 == 1', wide)).toBe(false);
  });

  // 64-bit ids written as JSON numbers: both are the same double, and who holds the one is not who holds the other.
  test.each([
    'claims.id == 9007199254740992',
    'claims.id == 9007199254740992.0',
    'claims.id != 5',
    'claims.id in [9007199254740992]',
    'string(claims.id) == "9007199254740992"',
    'int(claims.id) == 9007199254740992',
    'claims.ids.exists(x, x == 9007199254740992)',
    'claims.id > 1',
  ])('denies when it touches a whole number that lost digits: %s', (text) => {
    const claims = parseStrictJsonObject(
      '{ "id": 9007199254740993, "ids": [9007199254740993], "n": 9007199254740991 }',
    );
    expect(evaluate(text, claims)).toBe(false);
    const plain = readPlainWhen(text);
    if (plain !== undefined) expect(plain(anyIdentity('sub', claims))).toBe(false);
    expect(evaluate('claims.n == 9007199254740991', claims)).toBe(true);
  });

  test('gives each identity its own answer, whatever was asked before', () => {
    const compiled = compileWhen('claims.groups.exists(g, g == subject)');
    if ('fault' in compiled) throw new Error(compiled.fault);
    const answers = ['a', 'b', 'a'].map((subject) => compiled.when(anyIdentity(subject, { groups: ['a'] })));
    expect(answers).toEqual([true, false, true]);
  });
});

describe('a when is refused at load', () => {
  test.each([
    ['a syntax error', 'claims.n =='],
    ['nothing but space', ' '],
    ['an unknown variable', 'request.ip == "x"'],
    ['a type error', 'subject > 1'],
    ['a text for a result', 'subject'],
    ['a number for a result', 'size(subject)'],
    ['a map for a result', 'claims'],
    ['a regular expression', 'subject.matches("(a+)+")'],
    ['a regular expression on a claim', 'claims.x.matches("(a+)+")'],
    ['a regular expression inside a loop', 'claims.l.exists(x, x.matches("a"))'],
    ['a regular expression in an index', 'claims[string(subject.matches("a"))] == 1'],
    ['a regular expression in a list', 'true in [subject.matches("a")]'],
    ['a regular expression in a map', '{"a": subject.matches("a")}["a"]'],
    ['a regular expression in a choice', 'claims.ok ? subject.matches("a") : false'],
    ['a loop in a loop', 'claims.a.all(x, claims.b.all(y, x == y))'],
    ['a loop in a filter', 'claims.a.filter(x, claims.b.exists(y, x == y)).size() > 0'],
    ['a loop hidden in a chain in a loop', 'claims.a.all(x, x.map(y, y).size() > 0)'],
    ['a search of a claim in a claim', 'claims.a.contains(claims.b)'],
    ['a claimed list searched inside a loop', 'claims.a.all(x, x in claims.b)'],
    ['a loop over a sum', '(claims.a + claims.a).all(x, x == 1)'],
    ['a loop over what map made', 'claims.a.map(x, claims.t).all(y, y.contains("a"))'],
    ['a search of the whole token for each element', 'claims.a.all(x, claims.t.contains("a"))'],
    ['a length of the whole token for each element', 'claims.a.all(x, size(claims.t) > 1)'],
    ['a length by method for each element', 'claims.a.all(x, claims.t.size() > 1)'],
    ['a comparison of claims for each element', 'claims.a.all(x, claims.b == claims.c)'],
    ['a conversion for each element', 'claims.a.all(x, int(claims.t) == 1)'],
    ['a split', 'subject.split("").size() == 1'],
    ['a variable bound to grow', 'cel.bind(x, claims.a, x == 1)'],
    ['a clock', 'timestamp(claims.t) > timestamp("2026-01-01T00:00:00Z")'],
    ['bytes', 'b"a".string() == "a"'],
    ['too many nodes', Array.from({ length: 60 }, (_, at) => `claims.a${at} == ${at}`).join(' && ')],
    ['too deep', `${'('.repeat(30)}true${')'.repeat(30)}`],
    ['too long a list', `1 in [${Array.from({ length: 257 }, (_, at) => at).join(',')}]`],
  ])('for %s', (_, text) => {
    expect(faultOf(text)).toBeTypeOf('string');
  });

  test('with the place in the config and what to do', async () => {
    expect(await grantFaults(grant(), grant({ name: 'b', when: 'subject.matches("a")' }))).toEqual([
      {
        path: ['grants', 1, 'when'],
        message: 'when: CEL error: matches is not available',
        hint: 'no regular expressions; use startsWith',
      },
    ]);
    expect(await grantFaults(grant({ when: 'claims.x == clams.y' }))).toMatchObject([
      { message: 'when: CEL error: Unknown variable: clams (at character 13)' },
    ]);
  });
});

test('a when narrows a grant and never widens it', async () => {
  const identity = { issuer: 'any', subject: 'job' };
  const policy = await policyOf(grant({ identity, when: 'claims.env == "prod"' }));
  const decide = (subject: string, claims: JsonObject) =>
    outcome(policy.decide(anyIdentity(subject, claims), 'orders-db', [], 0));
  expect(decide('job', { env: 'prod' })).toBe('allow');
  expect(decide('job', { env: 'dev' })).toBe('no_grant');
  expect(decide('job', {})).toBe('no_grant');
  expect(decide('other', { env: 'prod' })).toBe('no_grant');
});
