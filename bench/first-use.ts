// The first read of each kind of store in a fresh process (loading its code, logging in, reading), beside a later one.
// The services are the tests' fakes on loopback, in this process: what is measured is ours and the SDKs', not a cloud's.
import { execFile } from 'node:child_process';
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parsePrivateKey } from '../src/keys/private-key.ts';
import { type FakeShelf, fakeShelves } from '../test/fakes/shelves.ts';

const rounds = Number(process.argv[2] ?? 5);
const child = join(import.meta.dirname, 'read-store.mjs');
const issuer = 'https://pass.example.com';
const subject = 'broker:pass.example.com';
const run = promisify(execFile);

interface Times {
  readonly first: number;
  readonly again: number;
}

const times: Record<string, Times[]> = {};
const folder = mkdtempSync(join(tmpdir(), 'hallpass-first-use-'));
try {
  for (const [kind, open] of Object.entries(fakeShelves)) {
    const { pem, jwk } = newKey(kind === 'azure-key-vault' ? 'rsa' : 'ec');
    const shelf: FakeShelf = await open({ issuer, subject, keys: [jwk] });
    times[kind] = [];
    for (let round = 0; round < rounds; round++) {
      const asked = { entry: shelf.entry(), name: shelf.secret.name, issuer, pem, folder };
      const env = {
        ...process.env,
        READ_STORE: JSON.stringify(asked),
        AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
      };
      times[kind].push(JSON.parse((await run(process.execPath, [child], { env })).stdout));
    }
    await shelf.close();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(JSON.stringify(times));

function newKey(type: 'rsa' | 'ec') {
  const { privateKey } =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { pem, jwk: parsePrivateKey(pem).publicJwk as JsonWebKey };
}
