import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readConfigText } from '../../scripts/config-text.mjs';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hallpass-build-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function bundled(text: string | Uint8Array): Promise<string> {
  const path = join(folder, 'config.yaml');
  await writeFile(path, text);
  return readConfigText('config.yaml', path);
}

it('bundles a config as JSON', async () => {
  expect(await bundled('a: &x { y: 1 }\nb: *x # again\n')).toBe('{"a":{"y":1},"b":{"y":1}}');
});

it.each([
  ['an id that would become another', 'a:\n  id: 9007199254740993\n', '2:7: this number is too large to be exact'],
  ['a tag, not the text behind it', 'a: !env NAME\n', '1:4: tags are not supported'],
  ['what is no number', 'a: .inf\n', '1:4: this number is too large to be exact'],
  ['no mapping', '- a\n', '1:1: a config is a mapping of sections'],
  ['what is not UTF-8', Buffer.from('a: caf\u00e9\n', 'latin1'), '1:7: the config is not UTF-8'],
])('bundles %s for no function', async (_, text, said) => {
  await expect(bundled(text)).rejects.toThrow(`config.yaml:${said}`);
});
