import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { signCheckpoint } from '../../src/ledger/tree/checkpoint.ts';
import { noteSigner } from '../../src/ledger/tree/note.ts';
import { tilePath } from '../../src/ledger/tree/tile.ts';
import { asking, clockAt, scribe, soon } from '../ledger/fixtures.ts';
import { lacks } from '../real-servers/start.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { audience, embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

// Nobody needs Hallpass to check what it publishes: other people's checkers of transparency logs take it.

const lacking = lacks('tlog');
if (lacking !== undefined) console.warn(`skipped: ${lacking}`);
const cache =
  process.env.HALLPASS_REAL_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'hallpass-real');
const program = (name: string) => join(cache, 'tlog/bin', name);

const { folder, remove } = temporaryFolder();
const issuer = testIssuer('https://issuer.test', audience);
const write = scribe(clockAt(Date.now()), { name: audience, instance: 'test', version: '1' });
const seed = new Uint8Array(32).fill(3);
let broker: OpenBroker;
let ledger: Ledger;
let size = 0;

beforeAll(async () => {
  const config = embeddedConfig(folder, issuer, {
    ledger: { kind: 'sqlite', path: join(folder, 'ledger.db'), public: true, seed: { store: 'vars', name: 'SEED' } },
    stores: { here: { kind: 'local', path: join(folder, 'store') }, vars: { kind: 'env', prefix: 'TEST_SECRET_' } },
  });
  broker = await openBroker(config, folder, { env: { TEST_SECRET_SEED: Buffer.from(seed).toString('base64') } });
  ledger = broker.deployment.ledger;
});
afterAll(async () => {
  await broker?.deployment.close();
  remove();
});

const get = async (path: string): Promise<Uint8Array> => {
  const answer = await broker.ask(`/v1/log/${path}`, issuer.token({ sub: 'svc:auditor' }), 'GET');
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
};

async function grow(to: number): Promise<void> {
  while (size < to) {
    const many = Math.min(200, to - size - (size === 0 ? 1 : 0));
    const { receipts } = await ledger.append(asking(...Array.from({ length: many }, () => write.denial())), soon());
    size = (receipts.at(-1)?.index ?? 0) + 1;
  }
}

/** Everything under /v1/log of one log, as files. */
async function publish(name: string, log = ''): Promise<string> {
  const to = join(folder, name);
  const keep = async (path: string) => {
    mkdirSync(dirname(join(to, path)), { recursive: true });
    writeFileSync(join(to, path), await get(`${log}${path}`));
  };
  await keep('checkpoint');
  const entries = Number(readFileSync(join(to, 'checkpoint'), 'utf8').split('\n')[1]);
  for (let level = -1, count = entries; count > 0; level++, count = level === 0 ? entries : Math.floor(count / 256))
    for (let n = 0; n * 256 < count; n++)
      await keep(tilePath(level < 0 ? 'entries' : level, n, Math.min(256, count - n * 256)));
  return to;
}

const check = (name: string, ...args: string[]) =>
  spawnSync(program(name), args, { encoding: 'utf8', timeout: 20_000 });
const tlogVerify = async (log: string, of = '') => {
  const { status, stdout, stderr } = check(
    'tlog-verify',
    log,
    Buffer.from(await get(`${of}key`))
      .toString()
      .trim(),
  );
  return { status, says: `${stdout}${stderr}`.trim() };
};

const fsckTakes = "Successfully fsck'd";
/** What it says; it ends with 0 either way. */
async function fsck(log: string): Promise<string> {
  const key = join(folder, 'key');
  writeFileSync(key, await get('key'));
  // With as many workers as there are tiles: one that finds fault leaves, and for want of another it would wait for ever.
  const args = ['-ui=false', '-N=16', `-storage_url=file://${log}/`, `-public_key=${key}`];
  const { error, stdout, stderr } = check('fsck', ...args);
  if (error !== undefined) throw error;
  return `${stdout}${stderr}`;
}

describe.skipIf(lacking !== undefined)('what is published under /v1/log', () => {
  it.each([2, 255, 256, 257, 1_000, 66_000])(
    'is taken by both checkers with %i entries',
    async (entries) => {
      await grow(entries);
      const log = await publish(`log-${entries}`);
      expect(await tlogVerify(log)).toEqual({ status: 0, says: `ok ${size}` });
      expect(await fsck(log)).toContain(fsckTakes);
    },
    120_000,
  );

  it('is refused by both checkers when one of ten things in it is broken', async () => {
    const good = join(folder, 'log-1000');
    const key = Buffer.from(await get('key'))
      .toString()
      .trim();
    const origin = key.split('+')[0] as string;
    const flip = (path: string, at: number) => (log: string) => {
      const bytes = readFileSync(join(log, path));
      bytes[at] = (bytes[at] as number) ^ 1;
      writeFileSync(join(log, path), bytes);
    };
    const signedBy = (signer: ReturnType<typeof noteSigner>) => (log: string) => {
      const [, entries, root] = readFileSync(join(log, 'checkpoint'), 'utf8').split('\n') as [string, string, string];
      writeFileSync(join(log, 'checkpoint'), signCheckpoint(signer, Number(entries), Buffer.from(root, 'base64')));
    };
    const cutAt = (path: string, bytes: number) => (log: string) =>
      writeFileSync(join(log, path), readFileSync(join(log, path)).subarray(0, -bytes));
    const broken: [string, (log: string) => void][] = [
      ['a changed entry', flip('tile/entries/001', 40)],
      ['a changed length of an entry', flip('tile/entries/000', 1)],
      ['a changed leaf', flip('tile/0/002', 5)],
      ['a changed hash above the leaves', flip('tile/1/000.p/3', 70)],
      ['a changed size', flip('checkpoint', origin.length + 2)],
      ['a changed root', flip('checkpoint', origin.length + 8)],
      ['a signature by another key', signedBy(noteSigner(origin, new Uint8Array(32).fill(4)))],
      ['another log’s name', signedBy(noteSigner('other.example/ledger', new Uint8Array(32).fill(4)))],
      ['a last entry cut off', cutAt('tile/entries/003.p/232', 30)],
      [
        'two bundles swapped',
        (log) => {
          const [one, two] = ['000', '001'].map((n) => readFileSync(join(log, 'tile/entries', n)));
          writeFileSync(join(log, 'tile/entries/000'), two as Buffer);
          writeFileSync(join(log, 'tile/entries/001'), one as Buffer);
        },
      ],
    ];
    expect(existsSync(join(good, 'tile/entries/003.p/232'))).toBe(true);
    for (const [what, spoil] of broken) {
      const log = join(folder, 'broken');
      cpSync(good, log, { recursive: true });
      spoil(log);
      const { status, says } = await tlogVerify(log);
      expect(status, `${what}: ${says}`).toBe(1);
      const said = await fsck(log);
      expect(said, what).toMatch(/\S/);
      expect(said, what).not.toContain(fsckTakes);
      rmSync(log, { recursive: true });
    }
    expect(await tlogVerify(good)).toEqual({ status: 0, says: 'ok 1000' });
    expect(await fsck(good)).toContain(fsckTakes);
  }, 120_000);

  it('is taken of a closed log and its successor, each under the same key and its own name', async () => {
    await ledger.roll?.({}, soon());
    const closed = await publish('closed', '~1/');
    expect(await tlogVerify(closed, '~1/')).toMatchObject({ status: 0 });
    expect(await tlogVerify(await publish('successor'), '~2/')).toEqual({ status: 0, says: 'ok 1' });
    expect(await tlogVerify(join(folder, 'successor'))).toMatchObject({ status: 1 });
  }, 120_000);
});
