import { describe, expect, test } from 'vitest';
import { importsOf, type Source, sourcesIn } from './sources.ts';

/** Imports run one way: a room imports from itself and from the steps before its own, never from its neighbours. */
const steps = [
  ['lib'],
  ['sessions'],
  ['identity', 'keys', 'stores', 'policy', 'credentials', 'ledger', 'sinks'],
  ['leases', 'rotation'],
  ['broker'],
  ['config'],
  ['ui'],
  ['http'],
  ['client', 'cli'],
  ['functions'],
] as const;

/** The room a file belongs to; undefined for what is no room (packages, package.json). */
function roomOf(path: string): string | undefined {
  if (path.startsWith('functions/')) return 'functions';
  return /^src\/([a-z-]+)(?:\/|\.ts$)/.exec(path)?.[1];
}

const stepOf = (room: string): number => steps.findIndex((step) => (step as readonly string[]).includes(room));

/** `room -> room (file)` for each import that goes the wrong way. */
function wrongWays(sources: readonly Source[]): string[] {
  const wrong: string[] = [];
  for (const source of sources) {
    const from = roomOf(source.path) as string;
    for (const target of importsOf(source)) {
      const to = roomOf(target);
      if (to === undefined || to === from || stepOf(to) < stepOf(from)) continue;
      wrong.push(`${from} -> ${to} (${source.path} imports ${target})`);
    }
  }
  return wrong;
}

const matches = (sources: readonly Source[], pattern: RegExp): string[] =>
  sources.filter(({ text }) => pattern.test(withoutComments(text))).map(({ path }) => path);

const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');

const sources = await sourcesIn('src', 'functions');
const rooms = sources.filter(({ path }) => path.startsWith('src/'));

describe('the architecture', () => {
  test('has a step for every room', () => {
    const unknown = sources.map(({ path }) => roomOf(path)).filter((room) => room === undefined || stepOf(room) < 0);
    expect([...new Set(unknown)]).toEqual([]);
  });

  test('has imports run one way', () => {
    expect(wrongWays(sources)).toEqual([]);
  });

  test('names the edge and the file when one does not', () => {
    const path = 'src/ledger/reader.ts';
    expect(wrongWays([{ path, text: "import { a } from '../stores/store.ts';" }])).toEqual([
      'ledger -> stores (src/ledger/reader.ts imports src/stores/store.ts)',
    ]);
    expect(wrongWays([{ path, text: "const a = await import('../http/app.ts');" }])).toEqual([
      'ledger -> http (src/ledger/reader.ts imports src/http/app.ts)',
    ]);
    expect(wrongWays([{ path, text: "import type { A } from '../lib/catalog.ts';\nimport './note.ts';" }])).toEqual([]);
  });

  test('reads the environment in functions/, at the entry of the command line and in the client only', () => {
    const readers = matches(rooms, /\bprocess\s*\??\.\s*env\b|\bprocess\[/);
    expect(readers.sort()).toEqual(['src/cli/main.ts', 'src/client/platform.ts']);
  });

  test('has the client need nothing but itself', () => {
    const client = rooms.filter(({ path }) => path.startsWith('src/client/'));
    expect(client.flatMap(importsOf).filter((name) => !name.startsWith('src/client/'))).toEqual([]);
  });

  test('names the built-in modules of Node as such', () => {
    const bare =
      /^(?:assert|buffer|child_process|crypto|events|fs|http|https|net|os|path|stream|tls|url|util|zlib)(?:\/|$)/;
    const wrong = sources.filter((source) => importsOf(source).some((name) => bare.test(name))).map(({ path }) => path);
    expect(wrong).toEqual([]);
  });

  test('takes schemas from zod/mini only', () => {
    const whole = sources.filter((source) => importsOf(source).includes('zod')).map(({ path }) => path);
    expect(whole).toEqual([]);
  });

  test('has no default export outside functions/, and no `any`', () => {
    expect(matches(rooms, /^export default\b/m)).toEqual([]);
    expect(matches(sources, /(?::|\bas|<)\s*any\b/)).toEqual([]);
  });
});
