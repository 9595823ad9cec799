import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transform } from 'esbuild';
import { afterAll, describe, expect, it } from 'vitest';
import { takeChunks, writeBundle } from '../../scripts/link.mjs';
import { run } from '../../scripts/load.mjs';
import { temporaryFolder } from '../support/server.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);
let made = 0;

/** Links modules as esbuild writes chunks, and runs the one that is called `app`. */
async function linked(modules: Record<string, string>) {
  const place = join(folder, `chunks-${made++}`);
  mkdirSync(place);
  for (const [name, text] of Object.entries(modules))
    writeFileSync(join(place, `${name}.mjs`), (await transform(text)).code);
  const chunks = await takeChunks(place);
  const { exported } = run(await writeBundle(place, chunks), 'file:///entry.mjs');
  return { exported: exported as Record<string, unknown>, chunks };
}

const changing = `
  var plain = 1; var given; var taken; var inList; var inObject; var counted = 0; var added = 1; var perhaps = null; var walked;
  var $ = 0; var shared = 1, listed = 2; let first = () => 1;
  function change() {
    given = 2; ({ taken } = { taken: 3 }); [inList] = [4]; ({ a: inObject } = { a: 5 });
    counted++; added += 5; perhaps ??= 7; for (walked of [8]); $ = 9; if (listed) shared = 10;
  }
  class Kept { value = () => plain; }
  function* one() { yield 1; }
  async function soon() {}
  var Made = class Made {};
  export { plain, given, taken, inList, inObject, counted, added, perhaps, walked, $, shared, first as renamed, change, Kept, one, soon, Made };
`;
const after = {
  given: 2,
  taken: 3,
  inList: 4,
  inObject: 5,
  counted: 1,
  added: 6,
  perhaps: 7,
  walked: 8,
  $: 9,
  shared: 10,
};

describe('the chunks of a build', () => {
  it('hand on what changes as it is when it is asked for', async () => {
    const { exported } = await linked({ app: changing });
    expect(exported).toMatchObject({ plain: 1, given: undefined, counted: 0 });
    (exported.change as () => void)();
    expect(exported).toMatchObject({ plain: 1, ...after });
    for (const name of Object.keys(after)) expect(Object.getOwnPropertyDescriptor(exported, name)?.get).toBeDefined();
  });

  it('hand on all else as values, made when the chunk has run', async () => {
    const { exported } = await linked({ app: changing });
    for (const name of ['plain', 'renamed', 'change', 'Kept', 'one', 'soon', 'Made'])
      expect(Object.getOwnPropertyDescriptor(exported, name), name).toHaveProperty('value');
    const { exported: none } = await linked({ app: 'import "./other.mjs";', other: 'export var x = 1;' });
    expect(Object.keys(none)).toEqual([]);
  });

  it('see what another one changes', async () => {
    const { exported } = await linked({
      app: 'import { counted, change, plain } from "./other.mjs"; export const both = () => [counted, plain]; export { change };',
      other: changing,
    });
    const both = exported.both as () => unknown;
    expect(both()).toEqual([0, 1]);
    (exported.change as () => void)();
    expect(both()).toEqual([1, 1]);
  });

  it('that wait for each other are refused', async () => {
    const circle = {
      app: 'import { b } from "./b.mjs"; export var a = 1;',
      b: 'import { a } from "./app.mjs"; export var b = 1;',
    };
    await expect(linked(circle)).rejects.toThrow('chunks need each other: ./app.mjs > ./b.mjs > ./app.mjs');
    const later = 'export var b = () => import("./app.mjs");';
    expect((await linked({ ...circle, b: later })).exported.a).toBe(1);
  });
});
