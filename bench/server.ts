// What the bench measures, all in one process on one core, of BENCH_SERVERS: a bare node:http server, and Hallpass with a
// durable ledger at each sync delay, with one that never syncs, and with none. Prints one JSON line with the addresses and the check's own cost.
import { createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildDeployment } from '../src/config/build.ts';
import { loadConfig } from '../src/config/load.ts';
import { createApp } from '../src/http/app.ts';
import { serveNode } from '../src/http/node.ts';
import { deadlineIn } from '../src/lib/deadline.ts';
import type { Platform } from '../src/lib/platform.ts';
import { Secret } from '../src/lib/secret.ts';
import { openStores } from '../src/stores/open.ts';
import { medianOf } from './median.mjs';
import { addNoLedger } from './no-ledger.ts';

const jwks = JSON.parse(process.env.BENCH_JWKS ?? '{"keys":[]}');
const root = new URL(process.env.BENCH_ROOT ?? '', 'file:///');

async function hallpass(commits: { delayMs: number; durable: boolean } | undefined): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-bench-'));
  const worker = join(folder, 'commit-worker.mjs');
  const varied = new URL('bench/commit-worker.mjs', root).href;
  writeFileSync(
    worker,
    `globalThis.benchCommit = ${JSON.stringify(commits)};\nawait import(${JSON.stringify(varied)});\n`,
  );
  const platform: Platform = {
    runtime: 'node',
    now: Date.now,
    random: (bytes) => randomBytes(bytes),
    fetch: (url, init) => fetch(url, init),
    log: () => {},
    env: {},
    folder,
    commitWorker: pathToFileURL(worker),
    instance: 'bench',
  };
  const text = JSON.stringify({
    broker: { url: 'https://pass.test', signer: { kind: 'local', path: 'keys' } },
    ledger: commits === undefined ? { kind: 'none' } : { kind: 'sqlite', path: 'ledger.db' },
    issuers: { ci: { issuer: 'https://issuer.test', jwks, lifetime: '24h' } },
    stores: { here: { kind: 'local', path: 'store', cache: '1h' } },
    credentials: { 'stripe-key': { kind: 'secret', store: 'here', name: 'stripe' } },
    roles: { checkout: ['stripe-key'] },
    grants: [{ name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['checkout'], ttl: '10m' }],
  });
  const { config } = await loadConfig(text, { file: 'bench', runtime: 'node', env: {}, folder });
  const store = await openStores(config.stores, { ...platform, storeMs: 5_000 }).open('here');
  await store.put('stripe', new Secret('not-a-real-secret'), deadlineIn(5_000, platform.now));
  const deployment = await buildDeployment(config, platform);
  return (await serveNode(createApp(deployment, platform), platform, { host: '127.0.0.1', port: 0 })).url;
}

/** JSON in, JSON of an issuance's size out, nothing else: what HTTP and JSON themselves cost here. */
async function bare(): Promise<string> {
  const receipt = { log: 'l', index: 1, record: 'r'.repeat(700), disclosure: 'd'.repeat(300), proof: 'p'.repeat(600) };
  const server = createServer((request, response) => {
    // What the whole process has used so far, microseconds: asked before and after each burst.
    if (request.url === '/cpu') return void response.end(JSON.stringify(process.cpuUsage()));
    const parts: Buffer[] = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const { ttl } = JSON.parse(Buffer.concat(parts).toString());
      const answer = {
        id: 'x'.repeat(26),
        data: { value: 'not-a-real-secret', version: '1' },
        lease: { ttl },
        receipt,
      };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Signature checks a second of node:crypto alone, the median of several turns. */
function checksPerSecond(algorithm: 'RS256' | 'ES256' | 'EdDSA'): number {
  const make = {
    RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: () => generateKeyPairSync('ed25519'),
  };
  const { privateKey, publicKey } = make[algorithm]();
  const digest = algorithm === 'EdDSA' ? null : 'sha256';
  const data = randomBytes(400);
  const signature = sign(digest, data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const key = {
    key: createPublicKey({ key: publicKey.export({ format: 'jwk' }), format: 'jwk' }),
    dsaEncoding: 'ieee-p1363' as const,
  };
  const turns = Array.from({ length: 7 }, () => {
    const started = performance.now();
    for (let turn = 0; turn < 500; turn++) if (!verify(digest, data, key, signature)) throw new Error('bad signature');
    return 500 / ((performance.now() - started) / 1000);
  });
  return medianOf(turns);
}

// An orderly exit, so that a profiler started with this process can write what it saw.
process.once('SIGINT', () => process.exit(0));

const kinds: Readonly<Record<string, () => Promise<string>>> = {
  bare,
  'durable-0ms': () => hallpass({ delayMs: 0, durable: true }),
  'durable-2ms': () => hallpass({ delayMs: 2, durable: true }),
  'durable-20ms': () => hallpass({ delayMs: 20, durable: true }),
  'not-durable': () => hallpass({ delayMs: 0, durable: false }),
  'no-ledger': () => hallpass(undefined),
};
const servers: Record<string, string> = {};
addNoLedger();
for (const name of (process.env.BENCH_SERVERS ?? '').split(',')) servers[name] = await (kinds[name] as typeof bare)();
console.log(
  JSON.stringify({
    servers,
    checks: { RS256: checksPerSecond('RS256'), ES256: checksPerSecond('ES256'), EdDSA: checksPerSecond('EdDSA') },
  }),
);
