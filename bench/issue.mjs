// Issuance over HTTP beside a bare node:http server, interleaved in one run: ratios, medians, spread.
import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { pinned } from './cores.mjs';
import { summary } from './median.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const algorithms = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export function makeTokens(folder, count) {
  const keys = [];
  const files = {};
  for (const [alg, make] of Object.entries(algorithms)) {
    const { publicKey, privateKey } = make();
    keys.push({ ...publicKey.export({ format: 'jwk' }), kid: alg, alg });
    const now = Math.floor(Date.now() / 1000);
    const header = encode({ alg, kid: alg, typ: 'JWT' });
    const lines = [];
    for (let n = 0; n < count; n++) {
      const claims = {
        iss: 'https://issuer.test',
        aud: 'https://pass.test',
        sub: 'svc:checkout',
        iat: now,
        nbf: now,
        exp: now + 7200,
        jti: randomBytes(9).toString('hex'),
      };
      const input = `${header}.${encode(claims)}`;
      const signature = sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(input), {
        key: privateKey,
        dsaEncoding: 'ieee-p1363',
      });
      lines.push(`${input}.${signature.toString('base64url')}`);
    }
    files[alg] = join(folder, `tokens-${alg}`);
    writeFileSync(files[alg], lines.join('\n'));
  }
  return { jwks: { keys }, files };
}

export async function startServers(folder, jwks, names, node = pinned(0)) {
  const outfile = join(root, 'bench/build/server.mjs');
  await build({
    entryPoints: [join(root, 'bench/server.ts')],
    outdir: join(root, 'bench/build'),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
  });
  const [command, ...args] = [...node, outfile];
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      BENCH_JWKS: JSON.stringify(jwks),
      BENCH_SERVERS: names.join(),
      BENCH_ROOT: root,
      TMPDIR: folder,
      BENCH_SYNCS: folder,
    },
  });
  for await (const line of createInterface({ input: child.stdout })) return { child, ...JSON.parse(line) };
  throw new Error('the bench server did not start');
}

export function burst(url, connections, seconds, file) {
  const [command, ...args] = [...pinned(1), join(root, 'bench/load.mjs'), url, connections, seconds, file];
  return JSON.parse(
    execFileSync(command, args.map(String), { stdio: ['ignore', 'pipe', 'ignore'], cwd: root }).toString(),
  );
}

export async function benchIssue({ rounds, seconds, tokens }) {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-bench-'));
  const { jwks, files } = makeTokens(folder, tokens);
  const { child, servers, checks } = await startServers(folder, jwks, [
    'bare',
    'durable-0ms',
    'durable-2ms',
    'not-durable',
  ]);
  const rates = {};
  const note = (key, { rate, failed }) => {
    if (failed > 0) throw new Error(`${key}: ${failed} requests failed`);
    rates[key] = [...(rates[key] ?? []), rate];
  };
  const path = '/v1/credentials/stripe-key';
  try {
    // Warm first: what is compared is a server that has been up for a while.
    for (const file of Object.values(files))
      for (const server of Object.values(servers)) burst(`${server}${path}`, 64, 2, file);
    for (let round = 0; round < rounds; round++) {
      for (const connections of [1, 16, 64]) {
        note(`bare/${connections}`, burst(`${servers.bare}${path}`, connections, seconds, files.RS256));
        for (const name of ['durable-0ms', 'durable-2ms', 'not-durable']) {
          for (const alg of connections === 1 && name !== 'durable-0ms' ? ['RS256'] : Object.keys(files))
            note(`${name}/${alg}/${connections}`, burst(`${servers[name]}${path}`, connections, seconds, files[alg]));
        }
      }
      process.stderr.write(`round ${round + 1} of ${rounds}\n`);
    }
  } finally {
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
  return { rates, checks };
}

/** The ratio of two rates, round by round. */
const ratio = (rates, over, under) => summary(rates[over].map((rate, round) => rate / rates[under][round]));

export function reportIssue({ rates, checks }) {
  const figures = {};
  for (const [name, values] of Object.entries(rates)) figures[`rate ${name} (1/s)`] = summary(values);
  for (const [alg, rate] of Object.entries(checks)) {
    figures[`checks a second, ${alg} (V)`] = summary([rate]);
    for (const connections of [1, 16, 64])
      figures[`durable-0ms ${alg} / H at ${connections}`] = ratio(
        rates,
        `durable-0ms/${alg}/${connections}`,
        `bare/${connections}`,
      );
  }
  for (const delay of ['0ms', '2ms'])
    figures[`durable-${delay} / not durable, RS256 at 64`] = ratio(
      rates,
      `durable-${delay}/RS256/64`,
      'not-durable/RS256/64',
    );
  const targets = [
    {
      name: 'durable / not durable at 64, 0 ms',
      value: figures['durable-0ms / not durable, RS256 at 64'].median,
      atLeast: 0.9,
    },
    {
      name: 'durable / not durable at 64, 2 ms',
      value: figures['durable-2ms / not durable, RS256 at 64'].median,
      atLeast: 0.9,
    },
    { name: 'RS256 issuance / H at 64', value: figures['durable-0ms RS256 / H at 64'].median, atLeast: 0.17 },
  ];
  return { figures, targets };
}
