import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { catchUp } from '../src/ledger/questions/catch-up.ts';
import { askedOf } from '../src/ledger/questions/questions.ts';
import { deadlineIn } from '../src/lib/deadline.ts';
import { instantMs } from '../src/lib/time.ts';
import { newUlid } from '../src/lib/ulid.ts';
import { scribe } from '../test/ledger/fixtures.ts';
import { openBroker } from '../test/support/broker.ts';
import { audience } from '../test/support/config.ts';
import { testIssuer } from '../test/support/issuer.ts';

// Fills a ledger with issuances of a month, builds its index, and asks a broker over it as auditors do.

const count = Number(process.env.BENCH_ENTRIES);
const asks = Number(process.env.BENCH_ASKS);
const commitWorker = new URL('src/ledger/drivers/sqlite/commit-worker.mjs', process.env.BENCH_ROOT);
const month = 30 * 86_400_000;
const perAppend = 200;
const atOnce = 4;

/** Where the filled ledger stays for the next run, as filling takes longest. */
const kept = process.env.HALLPASS_BENCH_KEEP && join(process.env.HALLPASS_BENCH_KEEP, `questions-${count}`);
if (kept) mkdirSync(kept, { recursive: true });
const folder = kept || mkdtempSync(join(tmpdir(), 'hallpass-bench-questions-'));
/** What a filled ledger is asked about; there once it is full. */
const filledFile = join(folder, 'filled.json');
const before = existsSync(filledFile) ? JSON.parse(readFileSync(filledFile, 'utf8')) : undefined;
if (kept && before === undefined)
  for (const end of ['', '-wal', '-shm']) rmSync(join(kept, `ledger.db${end}`), { force: true });

const began: number = before?.began ?? Date.now() - month;
let clock = before === undefined ? began : began + month;
const now = () => clock;
const soon = (ms = 600_000) => deadlineIn(ms, Date.now);
const url64 = (bytes: number) => randomBytes(bytes).toString('base64url');
const say = (text: string) => process.stderr.write(`${text}\n`);

// Built anew each time.
for (const end of ['', '-wal', '-shm']) rmSync(join(folder, `ledger.db.index${end}`), { force: true });
const issuer = testIssuer('https://issuer.test', audience, now);
const may = (subject: string, role: string) => ({ name: role, identity: { issuer: 'ci', subject }, may: [role] });
const { deployment, send } = await openBroker(
  {
    broker: { url: audience, signer: { kind: 'local', path: join(folder, 'keys') } },
    ledger: { kind: 'sqlite', path: join(folder, 'ledger.db') },
    issuers: { ci: { issuer: issuer.url, jwks: issuer.jwks } },
    stores: { vars: { kind: 'env', prefix: 'BENCH_' } },
    credentials: { one: { kind: 'secret', store: 'vars', name: 'one' } },
    roles: { auditor: { audit: 'read' }, tracer: { audit: 'trace' } },
    grants: [may('svc:auditor', 'auditor'), may('svc:tracer', 'tracer')],
  },
  folder,
  { now, commitWorker, env: { BENCH_one: 'not-a-secret' } },
);
const { ledger } = deployment;
const [log] = askedOf(ledger);
if (log?.index === undefined) throw new Error('no index');

/** One issuance in twenty is a denial; one in a hundred thousand is of a credential that hardly anybody takes. */
const write = scribe({ at: 0, now } as never, { name: audience, instance: 'bench', version: '0' });
const repositories = Array.from({ length: 500 }, (_, n) => `ci:acme/service-${n}@main`);
const pods = Array.from({ length: 1_500 }, (_, n) => `k8s:prod/team-${n % 40}/worker-${n}`);
const names = [...repositories, ...pods];
const kinds = ['postgres', 'secret', 'aws-role', 'jwt'];
const known = { account: '', fingerprint: '', trace: '', token: '', id: '', ...before?.known };

function entry(n: number) {
  const random = (bytes: number) => new Uint8Array(randomBytes(bytes));
  const id = newUlid(clock, random);
  const name = names[Math.floor(names.length * Math.random() ** 2)] as string;
  const about = { name, iss: 'https://issuer.test', subject: name.slice(4), token: url64(32) };
  const trace = randomBytes(16).toString('hex');
  const time = { time: instantMs(clock), id };
  if (n % 20 === 0) return write.write('denial', { ...time, reason: 'no_grant', count: 1, epoch: 0, trace }, about);
  const credential = n % 100_000 === 7 ? 'rare' : `credential-${Math.floor(40 * Math.random() ** 2)}`;
  const account = `hp_${id}`;
  const fingerprint = `hmac-sha256:${url64(32)}`;
  if (n === Math.floor(count / 3) + 1) Object.assign(known, { account, fingerprint, trace, token: about.token, id });
  const facts = {
    ...time,
    trace,
    request: newUlid(clock, random),
    credential,
    kind: kinds[n % 4] as string,
    store: `store-${n % 5}`,
    grant: `grant-${n % 30}`,
    fingerprint,
    fingerprintKey: 'AAAAAAAAAAA',
    lease: { expiresAt: instantMs(clock + 600_000), ttl: 600, account, revocable: true },
  };
  return write.issuance(id, facts, about);
}

async function fill(): Promise<number> {
  if (before !== undefined) return before.fillMs;
  const started = Date.now();
  for (let n = 0; n < count; ) {
    const some: Promise<unknown>[] = [];
    // Only between rounds: a record is no older than half a minute when it is taken.
    clock = began + Math.floor((month * n) / count);
    for (let lane = 0; lane < atOnce && n < count; lane++) {
      const entries = Array.from({ length: Math.min(perAppend, count - n) }, () => entry(n++));
      some.push(ledger.append({ entries, epoch: 0 }, soon()));
    }
    await Promise.all(some);
    if (n % 100_000 < perAppend * atOnce) say(`${n} appended, ${Math.round((Date.now() - started) / 1000)} s`);
  }
  const fillMs = Date.now() - started;
  writeFileSync(filledFile, JSON.stringify({ began, known, fillMs }));
  return fillMs;
}

async function build(): Promise<{ buildMs: number; buildCpuMs: number }> {
  const [started, used] = [Date.now(), process.cpuUsage()];
  await catchUp(log as NonNullable<typeof log>, soon(3_600_000));
  const { user, system } = process.cpuUsage(used);
  return { buildMs: Date.now() - started, buildCpuMs: (user + system) / 1000 };
}

/** Processor time of all questions, milliseconds. */
let cpu = 0;

const auditor = () => ({ authorization: `Bearer ${issuer.token({ sub: 'svc:auditor' })}` });
const instant = (part: number) => new Date(began + month * part).toISOString();

const queries = (): Readonly<Record<string, string>> => ({
  'no filter': '',
  'type=*': 'type=*',
  'type=denial': 'type=denial',
  'from, to: an hour long ago': `from=${instant(0.2)}&to=${instant(0.2 + 1 / 720)}`,
  'from, to: all but the last day': `to=${instant(29 / 30)}`,
  'identity, one': `identity=${encodeURIComponent(repositories[250] as string)}`,
  'identity=ci:acme/*@main': `identity=${encodeURIComponent('ci:acme/*@main')}`,
  'identity=k8s:prod/team-7/*': `identity=${encodeURIComponent('k8s:prod/team-7/*')}`,
  'identity=k8s:*/*/worker-9*, a kind': `identity=${encodeURIComponent('k8s:*/*/worker-9*')}&kind=jwt`,
  issuer: 'issuer=shop',
  'credential, common': 'credential=credential-0',
  'credential, rare': 'credential=rare',
  kind: 'kind=aws-role',
  store: 'store=store-3',
  grant: 'grant=grant-17',
  'reason, among issuances': 'reason=no_grant',
  'reason, among all': 'reason=no_grant&type=*',
  account: `account=${known.account}`,
  token: `token=${known.token}`,
  fingerprint: `fingerprint=${known.fingerprint}`,
  trace: `trace=${known.trace}`,
  'five at once': `credential=credential-3&grant=grant-1&kind=secret&from=${instant(0.1)}&to=${instant(0.9)}`,
  'five at once, nothing fits': `credential=credential-3&grant=grant-1&kind=jwt&store=store-1&type=*`,
});

async function ask(): Promise<Record<string, number[]>> {
  const took: Record<string, number[]> = {};
  const timed = async (name: string, work: () => Promise<Response>) => {
    const times: number[] = [];
    const used = process.cpuUsage();
    for (let round = 0; round < asks; round++) {
      const started = performance.now();
      const answer = await work();
      const body = await answer.text();
      times.push(performance.now() - started);
      if (answer.status !== 200) throw new Error(`${name}: ${answer.status} ${body}`);
    }
    took[name] = times;
    const { user, system } = process.cpuUsage(used);
    cpu += (user + system) / 1000;
  };
  for (const [name, query] of Object.entries(queries()))
    await timed(name, () => send(`/v1/issuances?${query}`, { headers: auditor() }));
  await timed('one issuance, with proofs', () => send(`/v1/issuances/${known.id}`, { headers: auditor() }));
  const bearer = `Bearer ${issuer.token({ sub: 'svc:tracer' })}`;
  await timed('POST /v1/trace', () => {
    // Traces are limited to one each two seconds.
    clock += 2_000;
    const headers = { authorization: bearer, 'content-type': 'application/json' };
    return send('/v1/trace', { method: 'POST', headers, body: JSON.stringify({ value: known.account }) });
  });
  return took;
}

/** Reads a whole export; what is held in memory the most, as seen a hundred times on the way. */
async function exportAll(format: string) {
  globalThis.gc?.();
  const held = process.memoryUsage().rss;
  let most = held;
  let bytes = 0;
  const started = Date.now();
  const answer = await send(`/v1/issuances?type=*&format=${format}`, { headers: auditor() });
  const reader = answer.body?.getReader();
  for (let part = 0; reader !== undefined; part++) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    if (part % 40 === 0) most = Math.max(most, process.memoryUsage().rss);
  }
  return { ms: Date.now() - started, bytes, before: held, most };
}

try {
  const fillMs = await fill();
  const { buildMs, buildCpuMs } = await build();
  say(`index built, ${Math.round(buildMs / 1000)} s`);
  const size = (file: string) => statSync(join(folder, file)).size;
  const bytes = { ledger: size('ledger.db'), index: size('ledger.db.index') };
  const took = await ask();
  say('asked');
  const exported = { ndjson: await exportAll('ndjson'), csv: await exportAll('csv') };
  process.stdout.write(`${JSON.stringify({ count, fillMs, buildMs, buildCpuMs, bytes, took, cpu, exported })}\n`);
} finally {
  await deployment.close();
  if (!kept) rmSync(folder, { recursive: true, force: true });
}
