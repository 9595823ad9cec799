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

/** Folders and files right under `house` that import each other in a circle, or what is above one; none where there is no circle. */
function circleIn(sources: readonly Source[], house: string): string[] {
  const inside = (path: string) =>
    path.startsWith(`${house}/`) ? path.slice(house.length + 1).split('/')[0] : undefined;
  const uses = new Map<string, Set<string>>();
  for (const source of sources) {
    const from = inside(source.path);
    if (from === undefined) continue;
    const named = importsOf(source)
      .map(inside)
      .filter((to) => to !== undefined && to !== from) as string[];
    uses.set(from, new Set([...(uses.get(from) ?? []), ...named]));
  }
  for (let before = -1; before !== uses.size; ) {
    before = uses.size;
    for (const [room, named] of uses) if (![...named].some((to) => uses.has(to))) uses.delete(room);
  }
  return [...uses.keys()];
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

  test('has imports between the rooms inside the ledger, and inside the config, run one way too', () => {
    for (const house of ['src/ledger', 'src/config']) expect(circleIn(sources, house)).toEqual([]);
  });

  test('finds a circle of rooms inside one', () => {
    const source = (path: string, from: string): Source => ({
      path: `src/a/${path}`,
      text: `import { x } from '${from}';`,
    });
    const [log, tree] = [source('log/log.ts', '../tree/tree.ts'), source('tree/tree.ts', '../base.ts')];
    expect(circleIn([log, tree, source('base.ts', './other.ts')], 'src/a')).toEqual([]);
    expect(circleIn([log, tree, source('base.ts', './log/queue.ts')], 'src/a').sort()).toEqual([
      'base.ts',
      'log',
      'tree',
    ]);
  });

  test('names the edge and the file when one does not', () => {
    const path = 'src/ledger/ledger.ts';
    expect(wrongWays([{ path, text: "import { a } from '../stores/store.ts';" }])).toEqual([
      'ledger -> stores (src/ledger/ledger.ts imports src/stores/store.ts)',
    ]);
    expect(wrongWays([{ path, text: "const a = await import('../http/app.ts');" }])).toEqual([
      'ledger -> http (src/ledger/ledger.ts imports src/http/app.ts)',
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

  test('takes schemas from lib/schema: zod is the judge of its tests only', () => {
    expect(sources.filter((source) => importsOf(source).some((name) => /^zod\b/.test(name)))).toEqual([]);
  });

  test('has no default export outside functions/, and no `any`', () => {
    expect(matches(rooms, /^export default\b/m)).toEqual([]);
    expect(matches(sources, /(?::|\bas|<)\s*any\b/)).toEqual([]);
  });
});
