import { describe, expect, test } from 'vitest';
import type { Identity } from '../../src/lib/identity.ts';
import type { Json, JsonObject } from '../../src/lib/strict-json.ts';
import { readPlainWhen } from '../../src/policy/plain-when.ts';
import { compileWhen } from '../../src/policy/when.ts';
import { anyIdentity } from './fixtures.ts';
import { seeded } from './worlds.ts';

/** How many random conditions to compare with the CEL library; the seed of a failure is in its message. */
const rounds = Number(process.env.HALLPASS_WHEN_ROUNDS ?? 600);
const seed = Number(process.env.HALLPASS_WHEN_SEED ?? 20_261_123);

type Random = () => number;
const one = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;

const names = ['a', 'b', 'a', 'b', 'list', 'constructor', '__proto__', 'package'];
const texts = ['', 'a', 'a', 'ab', 'ops', 'kubernetes.io', 'ä€😀', 'sub', "'"];
const numbers = [
  '0',
  '1',
  '2',
  '15',
  '1.0',
  '1.5',
  '0.5',
  '007',
  '1e3',
  '1u',
  '0x1',
  '-1',
  '999999999999999',
  '9999999999999999',
];

const quoted = (random: Random) => {
  const text = one(random, texts);
  return random() < 0.8 ? JSON.stringify(text) : `'${text}'`;
};
const literal = (random: Random): string => {
  const kind = random();
  if (kind < 0.5) return quoted(random);
  return kind < 0.8 ? one(random, numbers) : one(random, ['true', 'false', 'null', 'r"a"', "b'a'", '"""a"""', '"\\n"']);
};

/** Most are of the plain kind; one in twenty or so has something that the kind has not. */
function path(random: Random, item?: string): string {
  let text =
    item !== undefined && random() < 0.7
      ? item
      : random() < 0.85
        ? 'claims'
        : one(random, ['subject', 'issuer', 'x', 'has']);
  while (random() < (text === 'claims' ? 0.97 : 0.25)) {
    const step = random();
    text += step < 0.7 ? `.${one(random, names)}` : step < 0.85 ? `[${quoted(random)}]` : `[${one(random, numbers)}]`;
  }
  return text;
}

function condition(random: Random, depth: number, item?: string): string {
  const kind = random();
  if (depth > 0 && kind < 0.35) {
    const [left, right] = [condition(random, depth - 1, item), condition(random, depth - 1, item)];
    return `${left}${one(random, [' && ', ' || ', '&&', '||'])}${right}`;
  }
  if (depth > 0 && kind < 0.45) return `(${condition(random, depth - 1, item)})`;
  if (depth > 0 && kind < 0.55)
    return `!${random() < 0.6 ? `(${condition(random, depth - 1, item)})` : condition(random, depth - 1, item)}`;
  if (kind < 0.62) return path(random, item);
  if (kind < 0.68) return `has(${path(random, item)})`;
  if (kind < 0.76)
    return `${path(random, item)}.${one(random, ['startsWith', 'endsWith', 'contains', 'startsWith', 'size', 'matches'])}(${random() < 0.9 ? quoted(random) : path(random, item)})`;
  if (kind < 0.82) return `${random() < 0.8 ? literal(random) : path(random, item)} in ${path(random, item)}`;
  if (kind < 0.88) {
    const values = Array.from({ length: Math.ceil(random() * 3) }, () =>
      random() < 0.8 ? quoted(random) : literal(random),
    );
    return `${path(random, item)} in [${values.join(one(random, [', ', ',']))}]`;
  }
  if (kind < 0.94 && (item === undefined || random() < 0.1)) {
    const name = one(random, ['g', 'g', 'k', 'string', 'claims', 'in', 'if', '__proto__']);
    return `${path(random)}.${one(random, ['exists', 'all', 'exists', 'all', 'exists_one'])}(${name}, ${condition(random, depth - 1, name)})`;
  }
  const operator = one(random, ['==', '!=', '<', '<=', '>', '>=', '+']);
  const sides = [path(random, item), random() < 0.85 ? literal(random) : path(random, item)];
  if (random() < 0.2) sides.reverse();
  return `${sides[0]} ${operator} ${sides[1]}${random() < 0.03 ? ' ? true : false' : ''}`;
}

function json(random: Random, depth: number): Json {
  const kind = random();
  if (depth > 0 && kind < 0.25) return object(random, depth);
  if (depth > 0 && kind < 0.5) return Array.from({ length: Math.floor(random() * 4) }, () => json(random, depth - 1));
  if (kind < 0.7) return one(random, texts);
  if (kind < 0.85) return one(random, [0, -0, 1, 2, 15, 0.5, 1.5, -1, 999999999999999, 1e300]);
  if (kind < 0.95) return one(random, [true, false, null]);
  return one<Json>(random, [
    'a'.repeat(2049),
    Array(257).fill('a'),
    Object.fromEntries(Array.from({ length: 257 }, (_, at) => [`k${at}`, 1])),
  ]);
}

function object(random: Random, depth: number): JsonObject {
  const members = names.filter(() => random() < 0.8).map((name) => [name, json(random, depth - 1)] as const);
  const more = texts.filter(() => random() < 0.2).map((name) => [name, json(random, depth - 1)] as const);
  return Object.fromEntries([...members, ...more].sort(() => random() - 0.5)) as JsonObject;
}

const identities = (random: Random, count: number) =>
  Array.from({ length: count }, () => anyIdentity(one(random, ['sub', 'a', '', 'ops']), object(random, 3)));

/** One character taken out, put in or changed. */
function bent(random: Random, text: string): string {
  const at = Math.floor(random() * text.length);
  const put = random() < 0.3 ? '' : one(random, [...'()[].,!=<>&|"\' \\ab01?:+-/\n\t{}']);
  return text.slice(0, at) + put + text.slice(at + (random() < 0.5 ? 1 : 0));
}

/** What is taken must be taken by the library and mean the same, and so must its contrary: an error is neither. */
function compare(text: string, asked: readonly Identity[], seen: Record<string, number>): void {
  for (const contrary of [false, true]) {
    const whole = contrary ? `!(${text})` : text;
    const plain = readPlainWhen(whole);
    if (plain === undefined) {
      count(seen, 'left');
      continue;
    }
    const compiled = compileWhen(whole);
    if ('fault' in compiled) throw new Error(`took ${whole}, where the library says: ${compiled.fault}`);
    for (const identity of asked) {
      const [expected, answer] = [compiled.when(identity), plain(identity)];
      if (answer !== expected)
        throw new Error(
          `${whole} is ${answer}, and to the library ${expected}, for ${JSON.stringify(identity.claims)}`,
        );
      count(seen, contrary ? `contrary ${answer}` : `${answer}`);
    }
  }
}

const count = (seen: Record<string, number>, what: string) => {
  seen[what] = (seen[what] ?? 0) + 1;
};

describe('a plain condition', () => {
  test(`means what it means to the CEL library, in ${rounds} random conditions`, () => {
    const seen: Record<string, number> = {};
    for (let round = 0; round < rounds; round++) {
      const random = seeded(seed + round);
      const text = condition(random, 3);
      const asked = identities(random, 8);
      try {
        compare(text, asked, seen);
        for (let bend = 0; bend < 3; bend++) compare(bent(random, text), asked.slice(0, 3), seen);
      } catch (error) {
        throw new Error(`seed ${seed}, round ${round}: ${(error as Error).message}`);
      }
    }
    for (const answer of ['left', 'true', 'false', 'contrary true', 'contrary false'])
      expect(seen[answer], `${answer} must be met often for the comparison to mean anything`).toBeGreaterThan(
        rounds / 4,
      );
  });

  test.each([
    'claims["kubernetes.io"].pod.name.startsWith("checkout-")',
    'claims.groups.exists(g, g == "ops") && subject != "x"',
    'claims.groups.all(g, g in ["ops", "dev"])',
    '"ops" in claims.groups || claims.n >= 1.5',
    'has(claims.a.b) && !(claims.a.b == null)',
    "claims.environment == 'production' && claims.ref.startsWith('refs/tags/')",
    'claims["https://sts.amazonaws.com/"].principal_tags.team == "data"',
  ])('is read without the library: %s', (text) => {
    expect(readPlainWhen(text)).toBeTypeOf('function');
  });

  test.each([
    ['a choice', 'claims.a ? true : false'],
    ['arithmetic', 'claims.a + 1 == 2'],
    ['a claim against a claim', 'claims.a == claims.b'],
    ['a length', 'size(claims.a) == 1'],
    ['an escape', 'claims.a == "\\n"'],
    ['a comment', 'claims.a == "b" // c'],
    ['a loop in a loop', 'claims.a.all(x, claims.b.all(y, y == "a"))'],
    ['a search in a claim from a loop', 'claims.a.all(x, claims.t.contains("a"))'],
    ['a claimed list in a loop', 'claims.a.all(x, "a" in claims.b)'],
    ['a comparison that a loop repeats', 'claims.a.all(x, claims.b == subject)'],
    ['a list of several types', 'claims.a in ["a", 1]'],
    ['a text that is no condition', 'subject'],
    ['a variable of nobody', 'request.ip == "a"'],
    ['a regular expression', 'subject.matches("a")'],
    ['a number that is not exact', 'claims.a == 9007199254740993'],
    ['nothing', ' '],
  ])('is none, and left to the library: %s', (_, text) => {
    expect(readPlainWhen(text)).toBeUndefined();
  });

  test.each(
    'as break const continue else for function if import let loop package namespace return var void while __proto__ prototype constructor true false null in has cel size string type dyn each'.split(
      ' ',
    ),
  )('takes %s as a name only where the library does', (name) => {
    const conditions = [`claims.a.exists(${name}, ${name} == "a")`, `claims.a.all(${name}, claims.b == "a")`];
    conditions.push(`claims.${name} == "a"`, `has(claims.${name})`, `${name} == "a"`, `has(${name}.a)`);
    const taken = conditions.filter((text) => readPlainWhen(text) !== undefined);
    expect(taken.filter((text) => 'fault' in compileWhen(text))).toEqual([]);
  });

  test('is never longer or deeper than the library takes', () => {
    const taken = { brackets: 0, steps: 0, terms: 0, nots: 0 };
    const both = (text: string) => {
      if (readPlainWhen(text) === undefined) return 0;
      expect(compileWhen(text), text).toHaveProperty('when');
      return 1;
    };
    for (let count = 0; count < 150; count++) {
      const steps = '.a'.repeat(count + 1);
      for (const inner of ['claims.a', `claims${'.a'.repeat(6)}[0]`, `claims${'["a"]'.repeat(6)} in ["a"]`])
        taken.brackets += both(`${'('.repeat(count)}${inner}${')'.repeat(count)}`);
      for (const loop of ['exists', 'all']) {
        const body = `${'('.repeat(count)}g${'.b'.repeat(6)}.startsWith("a")${')'.repeat(count)}`;
        taken.brackets += both(`((claims${'.a'.repeat(5)}.${loop}(g, ${body})))`);
      }
      taken.steps += both(`claims${steps} == 1`) + both(`has(claims${steps})`) + both(`claims${steps}.startsWith("a")`);
      taken.terms += both(Array.from({ length: count + 1 }, () => 'claims.a').join(' && '));
      taken.terms += both(`claims.a in [${Array.from({ length: count + 1 }, () => '1').join(',')}]`);
      taken.nots += both(`${'!'.repeat(count)}claims.a`);
    }
    for (const some of Object.values(taken)) expect(some).toBeGreaterThan(3);
  });
});
