import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { build, type Ended, start } from './hallpass.ts';

let folder: string;

beforeAll(async () => {
  await build();
  folder = await mkdtemp(join(tmpdir(), 'hallpass-out-'));
  await writeFile(
    join(folder, 'hallpass.yaml'),
    `broker: { url: 'https://pass.example.com', signer: { kind: local, path: ./keys } }
ledger: { kind: sqlite, path: ./ledger.db }
issuers: { ci: { issuer: 'https://ci.example.com' } }
stores: { here: { kind: local, path: ./secrets } }
credentials: { key: { kind: secret, store: here, name: key } }
`,
  );
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

/** As before `| true`: nobody reads what it writes. */
function unread(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const command = start(args, { cwd: folder, env });
  command.child.stdout.destroy();
  return command.ended;
}

it('ends with its own exit code though nobody reads stdout any more', async () => {
  const check = ['store', 'check', 'here', '--config', 'hallpass.yaml'];
  expect((await unread([...check, '--secret', 'absent'])).code).toBe(1);
  expect((await unread(check)).code).toBe(0);
});

it('revokes all the same, to the last, when whoever read of it went away', async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const more = asked.length < 4 && { next: String(asked.length) };
    setTimeout(() => response.end(JSON.stringify({ items: [{ id: 'x', outcome: 'failed' }], ...more })), 100);
  });
  const port = await freePort();
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  const env = { HALLPASS_URL: `http://127.0.0.1:${port}`, HALLPASS_TOKEN: 'a-token' };
  const { code, err } = await unread(['lockdown', 'revoke', '01kacv0q2r7xw3m5t9e1h4b6ns'], env);
  server.close();
  expect(asked).toHaveLength(4);
  expect(code).toBe(75);
  expect(err).toContain('4 failed');
});

it('ends what only shows when nobody reads it', async () => {
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    const page = { items: [{ log: 'l', index: asked, record: { type: 'issuance' } }], next: String(asked) };
    setTimeout(() => response.end(JSON.stringify(page)), 100);
  });
  const port = await freePort();
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  const env = { HALLPASS_URL: `http://127.0.0.1:${port}`, HALLPASS_TOKEN: 'a-token' };
  expect((await unread(['issuances', 'list', '--all'], env)).code).toBe(0);
  server.close();
  expect(asked).toBeLessThan(4);
});
