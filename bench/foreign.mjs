// Good tokens of a foreign organization at a steady rate, beside our own callers: what it costs those, and what is recorded.
import { execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

/** Tokens a second of the floods, the bound's own last; the server has one core. */
const rates = [100, 300, 1_000];
const rate = 1_000;
/** Of the lesser floods. */
const floodSeconds = 10;
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

/** Reads how long a process has had a processor, microseconds, all its threads; NaN where the system does not tell. */
const cpuOf = (pid) => () => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // utime and stime, in hundredths of a second (proc(5)).
    return (Number(fields[11]) + Number(fields[12])) * 10_000;
  } catch {
    return Number.NaN;
  }
};

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
  const seen = { alone: [], floods: Object.fromEntries(rates.map((each) => [each, []])), statuses: {}, tokens: 0 };
  const cpu = cpuOf(child.pid);
  try {
    await callers(url, ours, 2_000);
    for (let round = 0; round < rounds; round++) {
      const alone = await callers(url, ours, aloneMs);
      seen.alone.push(alone);
      for (const each of rates) {
        const count = each === rate ? share : Math.min(share, each * floodSeconds);
        const flood = async (path, method) => {
          const [command, ...args] = pinned(1);
          const asked = [`${url}${path}`, String(each), file, String(round * share), String(count), method];
          const before = cpu();
          const { stdout } = await run(command, [...args, join(root, 'bench/flood.mjs'), ...asked]);
          return { ...JSON.parse(stdout), cpu: (cpu() - before) / count };
        };
        const beside = async (path, method) => {
          const under = flood(path, method);
          return { ...(await callers(url, ours, 0, under)), ...(await under) };
        };
        // What as many requests cost that bring no work along: the same two cores send them and answer them.
        const healthz = await beside('/healthz', 'GET');
        const foreign = await beside('/v1/credentials/partner', 'POST');
        for (const [status, n] of Object.entries(foreign.statuses))
          seen.statuses[status] = (seen.statuses[status] ?? 0) + n;
        seen.tokens += count;
        seen.floods[each].push({ alone, healthz, foreign });
      }
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
  return { ...seen, verified: stdout };
}

export function reportForeign({ alone, floods, statuses, tokens }) {
  const figures = {
    'p50 of our callers alone (ms)': summary(alone.map(({ p50 }) => p50)),
    'p99 of our callers alone (ms)': summary(alone.map(({ p99 }) => p99)),
    'foreign tokens answered 401': summary([statuses['401'] ?? 0]),
  };
  for (const [each, rounds] of Object.entries(floods)) {
    const of = (pick) => summary(rounds.map(pick));
    Object.assign(figures, {
      [`p99 beside ${each} foreign tokens/s (ms)`]: of(({ foreign }) => foreign.p99),
      [`p99 beside ${each} requests to /healthz a second (ms)`]: of(({ healthz }) => healthz.p99),
      [`p50, beside ${each} foreign tokens/s / alone`]: of(({ foreign, alone }) => foreign.p50 / alone.p50),
      [`p99, beside ${each} foreign tokens/s / alone`]: of(({ foreign, alone }) => foreign.p99 / alone.p99),
      [`p99, beside ${each} foreign tokens/s / beside /healthz`]: of(
        ({ foreign, healthz }) => foreign.p99 / healthz.p99,
      ),
      // That of our own callers is in both.
      [`CPU of the server per token at ${each}/s (us)`]: of(({ foreign }) => foreign.cpu),
      [`CPU of the server per /healthz at ${each}/s (us)`]: of(({ healthz }) => healthz.cpu),
      [`requests a second that the floods of ${each}/s achieved`]: summary(
        rounds.flatMap(({ foreign, healthz }) => [foreign.perSecond, healthz.perSecond]),
      ),
    });
  }
  const targets = [
    {
      name: 'requests a second of the slowest flood',
      value: Math.min(...floods[rate].flatMap(({ foreign, healthz }) => [foreign.perSecond, healthz.perSecond])),
      atLeast: 0.98 * rate,
    },
    { name: 'foreign tokens answered 401', value: statuses['401'] ?? 0, atLeast: tokens },
    {
      name: 'p99 of our callers, beside foreign tokens / beside /healthz',
      value: figures[`p99, beside ${rate} foreign tokens/s / beside /healthz`].median,
      atMost: 1.25,
    },
  ];
  return { figures, targets };
}
