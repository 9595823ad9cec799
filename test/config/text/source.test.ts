import { describe, expect, it } from 'vitest';
import { placeAt, readSource, readText } from '../../../src/config/text/source.ts';

const read = async (text: string) => {
  const source = await readSource(text);
  return 'spots' in source ? source.spots.map(({ at, message }) => ({ ...placeAt(text, at), message })) : source.value;
};

const place = async (text: string, path: (string | number)[], name?: true) => {
  const source = await readSource(text);
  if ('spots' in source) throw new Error(JSON.stringify(source.spots));
  const { line, column } = (await source.places())(path, name);
  return `${line}:${column}`;
};

describe('readText', () => {
  it.each([
    ['nothing', '', ''],
    ['text with a mark at its front', '\ufeffa: \u00e9\u{1f600}\ufffd\n', undefined],
  ])('reads %s', (_, text, read = text) => {
    expect(readText(Buffer.from(text))).toBe(read);
  });

  it.each<[string, number[], string]>([
    ['a byte of another encoding', [0x61, 0x0a, 0xc3, 0xa9, 0xe9, 0x0a], '2:2'],
    ['a character that is cut off', [0x61, 0x0a, 0x61, 0xf0, 0x9f], '2:2'],
    ['half of a pair', [0xed, 0xa0, 0x80], '1:1'],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00], '1:1'],
    ['a zero written too long', [0x61, 0xc0, 0x80], '1:2'],
  ])('says where it is none: %s', (_, bytes, at) => {
    const [line, column] = at.split(':').map(Number);
    expect(readText(Uint8Array.from(bytes))).toEqual({ line, column, message: 'the config is not UTF-8' });
  });
});

describe('readSource', () => {
  it('reads YAML 1.2, where yes and 0777 are no traps', async () => {
    expect(await read('a: yes\nb: 0777\nc: 0o17\nd: 1e3\ne: 2026-01-01\nf: null\n')).toEqual({
      a: 'yes',
      b: 777,
      c: 15,
      d: 1000,
      e: '2026-01-01',
      f: null,
    });
  });

  it('reads JSON as it is', async () => {
    expect(await read('\n {"a": {"b": [1, "x", null]}}')).toEqual({ a: { b: [1, 'x', null] } });
  });

  it('reads a YAML flow mapping that only looks like JSON', async () => {
    expect(await read('{a: 1, b: [x]} # comment')).toEqual({ a: 1, b: ['x'] });
  });

  it('says once for a line that it is not understood, and what a variable in a flow mapping lacks', async () => {
    const text = `a: 1\nb: { c: { d: \${NAME} } }\ne: [ { f: 1 } ]\n`;
    const source = await readSource(text);
    const spots = 'spots' in source ? source.spots : [];
    expect(spots.map(({ at }) => placeAt(text, at).line)).toEqual([2, 3]);
    expect(spots[0]?.hint).toContain('in quotes');
  });

  it('follows aliases', async () => {
    expect(await read('a: &x { y: 1 }\nb: *x\n')).toEqual({ a: { y: 1 }, b: { y: 1 } });
  });

  it('takes an alias for the last anchor of its name before it', async () => {
    expect(await read('a: &x 1\nb: *x\nc: &x [2, &y 3]\nd: *x\ne: *y\n')).toEqual({
      a: 1,
      b: 1,
      c: [2, 3],
      d: [2, 3],
      e: 3,
    });
    expect(await read('a: *x\nb: &x 1\n')).toMatchObject([{ line: 1, column: 4 }]);
  });

  it('reads twenty thousand aliases without a walk through the config for each', async () => {
    const before = process.cpuUsage();
    const { b } = (await read(`a: &x y\nb: [${Array(20_000).fill('*x').join()}]\n`)) as { b: string[] };
    const { user, system } = process.cpuUsage(before);
    expect([b.length, new Set(b)]).toEqual([20_000, new Set(['y'])]);
    expect((user + system) / 1000).toBeLessThan(10_000);
  });

  it.each([
    ['duplicate names', 'a: 1\nb: 2\na: 3\n', '3:1', 'this name is here twice'],
    ['duplicate names in JSON', '{"a": 1,\n "a": 2}', '2:2', 'this name is here twice'],
    ['escaped duplicate names in JSON', '{"a": 1,\n "\\u0061": 2}', '2:2', 'this name is here twice'],
    ['a second document', 'a: 1\n---\nb: 2\n', '3:1', 'one document only'],
    ['a custom tag', 'a: !foo 1\n', '1:4', 'tags are not supported'],
    ['a language tag', 'a: !!js/function x\n', '1:4', 'tags are not supported'],
    ['binary', 'a: !!binary aGk=\n', '1:13', 'tags are not supported'],
    ['a list as a name', '? [x]\n: 1\n', '1:3', 'a name must be a string'],
    ['an unknown alias', 'a: *nothing\n', '1:4', 'there is no anchor of this name before the alias'],
    ['an inexact number', 'id: 12345678901234567890\n', '1:5', 'this number is too large to be exact'],
    [
      'an inexact number in JSON',
      '{"a": [1,\n {"id": 9007199254740993}]}',
      '2:9',
      'this number is too large to be exact',
    ],
    ['infinity', 'a: .inf\n', '1:4', 'this number is too large to be exact'],
    ['another YAML version', '%YAML 1.1\n---\na: yes\n', '1:1', 'YAML 1.2 only'],
    ['tabs', 'a:\n\tb: 1\n', '2:1', 'indent with spaces, not tabs'],
    ['an open quote', 'a: "x\n', '2:1', 'a closing quote, bracket or separator is missing here'],
    [
      'an open brace',
      'a: { x: 1\nb: 2\n',
      '2:1',
      'the indentation is wrong here, or a closing } or ] is missing before it',
    ],
    [
      'an open bracket at the end',
      'a: [1\n',
      '2:1',
      'the indentation is wrong here, or a closing } or ] is missing before it',
    ],
    [
      'a member one column off',
      'a:\n  b: 1\n c: 2\n',
      '3:1',
      'the indentation is wrong here, or a closing } or ] is missing before it',
    ],
    ['a list', '- a\n', '1:1', 'a config is a mapping of sections'],
    ['a text', 'hello', '1:1', 'a config is a mapping of sections'],
    ['nothing', '', '1:1', 'the config is empty'],
    ['a comment only', '# nothing\n', '1:1', 'the config is empty'],
    ['NUL', 'a: 1\nb: \0\n', '2:4', 'a NUL character'],
    ['a lone surrogate', 'a: "\ud800"', '1:1', 'the config is not valid Unicode'],
    ['an escaped lone surrogate', 'a: "\\ud800"', '1:4', 'this value is not supported'],
  ])('refuses %s and says where', async (_, text, where, message) => {
    const spots = (await read(text)) as { line: number; column: number; message: string }[];
    expect(spots.map((spot) => `${spot.line}:${spot.column} ${spot.message}`)).toContain(`${where} ${message}`);
  });

  it('refuses a text over 256 KiB, counted in bytes', async () => {
    const pad = (length: number) => `a: 1 #${'x'.repeat(length - 6)}`;
    expect(await read(pad(256 * 1024))).toEqual({ a: 1 });
    expect(await read(pad(256 * 1024 + 1))).toMatchObject([{ message: 'the config is larger than 256 KiB' }]);
    expect(await read(`a: "${'é'.repeat(140_000)}"`)).toMatchObject([{ message: 'the config is larger than 256 KiB' }]);
  });

  it('refuses a bomb of aliases instead of unfolding it', async () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let n = 1; n < 10; n++)
      lines.push(
        `a${n}: &a${n} [${Array(9)
          .fill(`*a${n - 1}`)
          .join(', ')}]`,
      );
    expect(await read(lines.join('\n'))).toMatchObject([{ message: 'more than 50000 values' }]);
  });

  it('refuses an alias that contains itself', async () => {
    expect(await read('a: &a [*a]\n')).toMatchObject([{ line: 1, message: 'nested deeper than 24' }]);
  });

  it.each([
    ['flow lists', '['.repeat(200_000)],
    ['closed flow lists', `a: ${'['.repeat(2000)}${']'.repeat(2000)}`],
    ['JSON', `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`],
    ['block lists', `${'- '.repeat(100_000)}x`],
    ['names', '? '.repeat(100_000)],
    ['open mappings', '{a: {b: '.repeat(30_000)],
  ])('refuses deep nesting of %s', async (_, text) => {
    expect(Array.isArray(await read(text))).toBe(true);
  });

  it('reads ten thousand names in no time', async () => {
    const text = Array.from({ length: 10_000 }, (_, n) => `name-${n}: ${n}`).join('\n');
    const before = performance.now();
    expect(Object.keys((await read(text)) as object)).toHaveLength(10_000);
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  it('keeps __proto__ as data', async () => {
    expect(Object.keys((await read('__proto__: { a: 1 }\n')) as object)).toEqual(['__proto__']);
  });
});

describe('places', () => {
  const yaml = '# c\na:\n  b: [x, yy]\n  c: { d: 1 }\ne: 2\n';
  const json = '{\n  "a": {"b": ["x", "yy"],\r\n    "c": {"d": 1}},\n\t"e": 2\n}';

  it.each([
    [['a'], '2:1', '2:3'],
    [['a', 'b', 1], '3:10', '2:20'],
    [['a', 'c', 'd'], '4:11', '3:16'],
    [['a', 'c', 'missing'], '4:3', '3:5'],
    [['missing'], '2:1', '1:1'],
    [['e'], '5:4', '4:7'],
  ])('finds %j in YAML and JSON', async (path, inYaml, inJson) => {
    expect([await place(yaml, path), await place(json, path)]).toEqual([inYaml, inJson]);
  });

  it('points at the name where the name is what is wrong', async () => {
    expect(await place(yaml, ['e'], true)).toBe('5:1');
    expect(await place(json, ['e'], true)).toBe('4:2');
  });
});
