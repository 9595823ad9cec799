// Good tokens of a foreign organization at a steady rate, beside our own callers: what it costs those, and what is recorded.
import { execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pinned } from './cores.mjs';
import { medianOf, summary } from './median.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);
const audience = 'https://pass.test';
const github = 'https://token.actions.githubusercontent.com';
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Tokens a second of the flood; the server has one core. */
const rate = 1_000;
const aloneMs = 8_000;

function tokenMaker() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'ES256', use: 'sig' }] };
  const header = encode({ alg: 'ES256', kid: 'bench', typ: 'JWT' });
  const now = Math.floor(Date.now() / 1000);
  const make = (owner) => {
    const claims = {
      iss: github,
      aud: audience,
      sub: 'repo:acme/shop:ref:refs/heads/main',
      iat: now,
      nbf: now,
      exp: now + 3600,
      jti: randomBytes(9).toString('hex'),
      repository: 'acme/shop',
      repository_id: '1296269',
      repository_owner: 'acme',
      repository_owner_id: owner,
      event_name: 'push',
      ref: 'refs/heads/main',
    };
    const input = `${header}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${input}.${signature.toString('base64url')}`;
  };
  return { jwks, make };
}

async function serve(folder, jwks) {
  const config = {
    broker: { url: audience, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    issuers: { ci: { preset: 'github-actions', organization: { id: '9919' }, jwks } },
    credentials: { partner: { kind: 'jwt', audience: 'https://api.partner.example' } },
    grants: [
      {
        name: 'ci',
        identity: { issuer: 'ci', repository_id: '1296269', event_name: 'push' },
        may: ['partner'],
        ttl: '5m',
      },
    ],
  };
  const file = join(folder, 'hallpass.json');
  writeFileSync(file, JSON.stringify(config));
  const [command, ...args] = [...pinned(0), join(root, 'dist/hallpass.mjs'), 'serve', '--config', file, '--port', '0'];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  return { child, url: JSON.parse(value).url, file };
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** Milliseconds of one issuance over a kept connection. */
function issue(url, token) {
  return new Promise((done, fail) => {
    const from = performance.now();
    const options = { method: 'POST', agent, headers: { authorization: `Bearer ${token}` } };
    const asked = request(`${url}/v1/credentials/partner`, options, (answer) => {
      answer.resume().on('end', () => {
        if (answer.statusCode === 200) done(performance.now() - from);
        else fail(new Error(`our own caller got ${answer.statusCode}`));
      });
    });
    asked.on('error', fail).end();
  });
}

/** Our own callers, one after the other with a pause between, until `over` settles or the time is up. */
async function callers(url, tokens, ms, over) {
  const times = [];
  let ended = false;
  over?.finally(() => {
    ended = true;
  });
  const from = performance.now();
  for (let n = 0; over === undefined ? performance.now() - from < ms : !ended; n++) {
    times.push(await issue(url, tokens[n % tokens.length]));
    await new Promise((wake) => setTimeout(wake, 5));
  }
  times.sort((a, b) => a - b);
  return { p50: medianOf(times), p99: times[Math.floor(times.length * 0.99)] };
}

export async function benchForeign({ rounds, tokens = 100_000 }) {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-foreign-'));
  const { jwks, make } = tokenMaker();
  const file = join(folder, 'tokens');
  writeFileSync(file, Array.from({ length: tokens }, () => make('666')).join('\n'));
  const ours = Array.from({ length: 200 }, () => make('9919'));
  const { child, url, file: config } = await serve(folder, jwks);
  const share = Math.floor(tokens / rounds);
  const seen = { alone: [], crowd: [], beside: [], statuses: {}, rates: [] };
  try {
    await callers(url, ours, 2_000);
    for (let round = 0; round < rounds; round++) {
      const alone = await callers(url, ours, aloneMs);
      const flood = (path, method) => {
        const [command, ...args] = pinned(1);
        const asked = [`${url}${path}`, String(rate), file, String(round * share), String(share), method];
        return run(command, [...args, join(root, 'bench/flood.mjs'), ...asked]).then(({ stdout }) =>
          JSON.parse(stdout),
        );
      };
      // What as many requests cost that bring no work along: the same two cores send them and answer them.
      const healthz = flood('/healthz', 'GET');
      const crowd = await callers(url, ours, 0, healthz);
      const foreign = flood('/v1/credentials/partner', 'POST');
      const beside = await callers(url, ours, 0, foreign);
      const { statuses } = await foreign;
      for (const [status, count] of Object.entries(statuses))
        seen.statuses[status] = (seen.statuses[status] ?? 0) + count;
      seen.rates.push((await healthz).perSecond, (await foreign).perSecond);
      seen.crowd.push(crowd);
      seen.alone.push(alone);
      seen.beside.push(beside);
    }
  } finally {
    child.kill('SIGTERM');
    await new Promise((done) => child.once('exit', done));
  }
  const { stdout } = await run(process.execPath, [
    join(root, 'dist/hallpass.mjs'),
    'ledger',
    'verify',
    '--config',
    config,
  ]);
  rmSync(folder, { recursive: true, force: true });
  return { ...seen, tokens: share * rounds, verified: stdout };
}

export function reportForeign({ alone, crowd, beside, statuses, rates, tokens }) {
  const ratio = (of, to) => summary(beside.map((times, round) => times[of] / to[round][of]));
  const figures = {
    'p50 of our callers alone (ms)': summary(alone.map(({ p50 }) => p50)),
    'p99 of our callers alone (ms)': summary(alone.map(({ p99 }) => p99)),
    [`p99 beside ${rate} foreign tokens/s (ms)`]: summary(beside.map(({ p99 }) => p99)),
    [`p99 beside ${rate} requests to /healthz a second (ms)`]: summary(crowd.map(({ p99 }) => p99)),
    'p50, beside foreign tokens / alone': ratio('p50', alone),
    'p99, beside foreign tokens / alone': ratio('p99', alone),
    'p99, beside foreign tokens / beside /healthz': ratio('p99', crowd),
    'foreign tokens answered 401': summary([statuses['401'] ?? 0]),
    'requests a second that the floods achieved': summary(rates),
  };
  const targets = [
    { name: 'requests a second of the slowest flood', value: Math.min(...rates), atLeast: 0.98 * rate },
    { name: 'foreign tokens answered 401', value: statuses['401'] ?? 0, atLeast: tokens },
    {
      name: 'p99 of our callers, beside foreign tokens / beside /healthz',
      value: figures['p99, beside foreign tokens / beside /healthz'].median,
      atMost: 1.25,
    },
  ];
  return { figures, targets };
}
