import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findConfig } from '../../functions/config-file.ts';
import { instanceOf } from '../../functions/instance.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { Platform } from '../../src/lib/platform.ts';
import { configFor, variables } from '../runtimes/scenario.ts';
import { temporaryFolder } from '../support/server.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);

const good = JSON.stringify(
  configFor({ ledger: { kind: 'sqlite', path: 'ledger.db' }, signer: { kind: 'local', path: 'keys' } }),
);
const lines: { event: string; error?: string }[] = [];
const platform: Platform = {
  runtime: 'node',
  now: Date.now,
  random: (bytes) => randomBytes(bytes),
  fetch: () => Promise.reject(new Error('no network')),
  log: (_, event, facts) => void lines.push({ event, ...facts }),
  env: variables,
  folder,
  instance: 'test',
};

describe('an instance of a function', () => {
  test('answers 503 while its config is wrong, says why in the log only, and is tried again by the next request', async () => {
    const texts = ['{ "broker": 1 }', good];
    const instance = instanceOf(platform, () => ({ text: texts.shift() ?? '', file: 'test.json', folder }));
    const ask = () => instance.answer((app) => app.fetch(new Request('https://pass.test/healthz')));

    const refused = await ask();
    expect([refused.status, refused.headers.get('content-type')]).toEqual([503, 'application/problem+json']);
    expect(await refused.text()).not.toContain('test.json');
    expect(lines.some(({ event, error }) => event === 'config_problem' && error?.startsWith('test.json:'))).toBe(true);

    expect((await ask()).status).toBe(200);
    // The third one is answered by what was built: no text is left to build from.
    expect((await ask()).status).toBe(200);
    await (await instance.built()).deployment.close();
  });

  test('is built anew by the next call when a build never ended', async () => {
    const texts = [new Promise<never>(() => {}), { text: good, file: 'test.json', folder }];
    const find = () => texts.shift() as Promise<never>;
    const instance = instanceOf(platform, find, { waitMs: 3_000 });
    const ask = () => instance.answer(() => new Response());
    expect((await ask()).status).toBe(503);
    expect((await ask()).status).toBe(200);
    await (await instance.built()).deployment.close();
  });

  test('carries copies to the sinks when its schedule comes', async () => {
    const config = configFor({
      ledger: { kind: 'sqlite', path: 'copied.db' },
      signer: { kind: 'local', path: 'keys' },
    });
    const text = JSON.stringify({ ...config, sinks: { copy: { kind: 'file', path: 'copy.ndjson' } } });
    const instance = instanceOf(platform, () => ({ text, file: 'test.json', folder }));
    const { deployment } = await instance.built();
    await deployment.recordStoreWrite('here', '2', deadlineIn(5_000, Date.now));
    await instance.upkeep(10_000);
    const lines = readFileSync(join(folder, 'copy.ndjson'), 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).record.type)).toContain('store-write');
    await deployment.close();
  });

  test('says in the log what kept it from being built', async () => {
    const instance = instanceOf(platform, () => Promise.reject(new Error('no config: set HALLPASS_CONFIG')));
    const answer = await instance.answer(() => new Response());
    expect(answer.status).toBe(503);
    const { requestId } = (await answer.json()) as { requestId: string };
    expect(answer.headers.get('x-request-id')).toBe(requestId);
    const said = { event: 'not_built', request: requestId, error: 'no config: set HALLPASS_CONFIG' };
    expect(lines.at(-1)).toMatchObject(said);
  });

  test('says in the log which key of the start was not in its store, and checks broker.secret before it serves', async () => {
    const config = configFor({ ledger: { kind: 'sqlite', path: 'key.db' }, signer: { kind: 'local', path: 'keys' } });
    const logged = async (env: Record<string, string>) => {
      const { broker: settings } = config as { broker?: object };
      const broker = { ...settings, secret: { store: 'vars', name: 'INPUT' } };
      const text = JSON.stringify({
        ...config,
        broker,
        stores: { vars: { kind: 'env', prefix: 'T_' } },
        credentials: {},
        roles: {},
        grants: [],
      });
      const instance = instanceOf({ ...platform, env }, () => ({ text, file: 'test.json', folder }));
      expect((await instance.answer(() => new Response())).status).toBe(503);
      return lines.at(-1);
    };
    const absent = 'broker.secret: the store vars has no secret INPUT (an env store reads it from T_INPUT)';
    expect(await logged({})).toMatchObject({ event: 'not_built', reason: 'absent', error: absent });
    const short = 'broker.secret is not 32 bytes (raw, or written in hex, base64 or base64url)';
    expect(await logged({ T_INPUT: 'short' })).toMatchObject({ event: 'not_built', error: short });
  });

  test('is built once by requests that come together', async () => {
    let finds = 0;
    const instance = instanceOf(platform, () => {
      finds++;
      return { text: good, file: 'test.json', folder };
    });
    await Promise.all([instance.built(), instance.built(), instance.upkeep(1_000)]);
    expect(finds).toBe(1);
    await (await instance.built()).deployment.close();
  });
});

describe('the config of a function', () => {
  const file = join(folder, 'named.json');
  writeFileSync(file, good);

  test('is the text of HALLPASS_CONFIG before the file of HALLPASS_CONFIG_FILE', async () => {
    const env = { HALLPASS_CONFIG: '{}', HALLPASS_CONFIG_FILE: file };
    expect(await findConfig(env, '/somewhere')).toEqual({ text: '{}', file: 'HALLPASS_CONFIG', folder: '/somewhere' });
  });

  test('has relative paths count from the folder of its file', async () => {
    expect(await findConfig({ HALLPASS_CONFIG_FILE: 'named.json' }, folder)).toEqual({
      text: good,
      file: 'named.json',
      folder,
    });
  });

  test('is refused where its file is not UTF-8, and nothing in it is read as something else', async () => {
    writeFileSync(join(folder, 'latin.json'), Buffer.from('{\n "broker": "caf\u00e9" }', 'latin1'));
    const refused = findConfig({ HALLPASS_CONFIG_FILE: 'latin.json' }, folder);
    await expect(refused).rejects.toThrow('latin.json:2:16: the config is not UTF-8');
  });

  test('is asked for where none is named or bundled', async () => {
    await expect(findConfig({}, folder)).rejects.toThrow('set HALLPASS_CONFIG');
  });
});
