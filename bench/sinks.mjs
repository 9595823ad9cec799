// Issuance with a durable ledger beside the same with a sink that takes all, with one that is down, and beside itself: in short
// bursts by turns, each compared with those of its turn, so that whatever else the machine does meets all alike. The servers
// have one core, load and receivers the other. What two servers without a sink differ by is what noise alone makes.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { quantile } from './client.mjs';
import { pinned } from './cores.mjs';
import { burst, makeTokens } from './issue.mjs';
import { summary } from './median.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const path = '/v1/credentials/stripe-key';
const burstSeconds = 1;
/** The forwarder looks every second: by then it has carried what was issued. */
const afterMs = 1_400;
const plain = 'no sink';
const again = 'no sink, again';

async function firstLine(child) {
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error('a bench process did not start');
}

function configOf(jwks, sink) {
  return {
    broker: { url: 'https://pass.test', signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    issuers: { ci: { issuer: 'https://issuer.test', jwks, lifetime: '24h' } },
    stores: { here: { kind: 'env', prefix: 'BENCH_SECRET_' } },
    credentials: { 'stripe-key': { kind: 'secret', store: 'here', name: 'stripe' } },
    roles: { checkout: ['stripe-key'] },
    grants: [{ name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['checkout'], ttl: '10m' }],
    ...(sink && { sinks: { siem: { kind: 'http', url: sink, batch: 1000 } } }),
  };
}

/** `rounds` times `seconds` of load for each, in bursts of a second. */
export async function benchSinks({ rounds, seconds, tokens }) {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-bench-'));
  const { jwks, files } = makeTokens(folder, tokens);
  const children = [];
  const start = async (core, args, env = {}) => {
    const [command, ...rest] = [...pinned(core), ...args];
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, ...env } });
    children.push(child);
    return { pid: child.pid, said: await firstLine(child) };
  };
  const receive = (how) => start(1, [join(root, 'bench/receiver.mjs'), how]);
  const serve = async (name, receiver) => {
    const home = join(folder, name);
    mkdirSync(home);
    const file = join(home, 'hallpass.json');
    writeFileSync(file, JSON.stringify(configOf(jwks, receiver?.said)));
    const args = [join(root, 'dist/hallpass.mjs'), 'serve', '--config', file, '--port', '0'];
    const { pid, said } = await start(0, args, { BENCH_SECRET_stripe: 'not-a-real-secret' });
    return { pid, receiver, url: JSON.parse(said).url };
  };
  try {
    const servers = {
      [plain]: await serve('one'),
      [again]: await serve('other'),
      sink: await serve('up', await receive('up')),
      'sink down': await serve('down', await receive('down')),
    };
    // Warm first: what is compared is a server that has been up for a while.
    for (let turn = 0; turn < 4; turn++)
      for (const server of Object.values(servers)) await measure(server, files.ES256);
    const turns = [];
    for (let turn = 0; turn < (rounds * seconds) / burstSeconds; turn++) {
      const names = Object.keys(servers);
      const measured = {};
      // There and back, so that none always comes after the same one.
      for (const name of turn % 2 === 0 ? names : names.reverse())
        measured[name] = await measure(servers[name], files.ES256);
      turns.push(measured);
      process.stderr.write(`turn ${turn + 1}\n`);
    }
    return turns;
  } finally {
    for (const child of children) child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A burst, and the processor time (us of each issuance) until the sink has what came of it. */
async function measure({ url, pid, receiver }, file) {
  const taken = () => (receiver === undefined ? 0 : cpuOf(receiver.pid));
  const [began, received] = [cpuOf(pid), taken()];
  const { rate, ok, failed } = burst(`${url}${path}`, 64, burstSeconds, file);
  if (failed > 0) throw new Error(`${failed} requests failed`);
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  const cost = (cpuOf(pid) - began) / ok;
  return { rate, cost, receiving: (taken() - received) / ok, behind: await behind(url) };
}

/** Microseconds of processor time that a process has used (Linux: clock ticks of 10 ms). */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Records that the sink does not have; 0 where there is no sink. */
async function behind(url) {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^hallpass_sink_lag_records\{[^}]*\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

/** What lies between the quarters: of many short bursts the extremes say what else ran. */
function middle(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const [median, min, max] = [0.5, 0.25, 0.75].map((at) => Number(quantile(sorted, at).toPrecision(3)));
  return { median, min, max, n: values.length };
}

export function reportSinks(turns) {
  const names = Object.keys(turns[0]);
  const of = (name, what) => turns.map((turn) => turn[name][what]);
  const ratio = (name, what) => middle(turns.map((turn) => turn[name][what] / turn[plain][what]));
  const figures = {};
  for (const name of names) figures[`rate, ${name} (1/s)`] = middle(of(name, 'rate'));
  for (const name of names) figures[`processor time of an issuance, ${name} (us)`] = middle(of(name, 'cost'));
  for (const name of names.slice(1)) {
    figures[`${name} / ${plain}`] = ratio(name, 'rate');
    figures[`processor time, ${name} / ${plain}`] = ratio(name, 'cost');
  }
  figures['processor time of the receiver, an issuance (us)'] = middle(of('sink', 'receiving'));
  figures['behind, after each burst and its second (records)'] = summary(of('sink', 'behind'));
  const targets = ['sink', 'sink down'].flatMap((name) => [
    { name: `${name} / ${plain}`, value: figures[`${name} / ${plain}`].median, atLeast: 0.95 },
    {
      name: `processor time, ${name} / ${plain}`,
      value: figures[`processor time, ${name} / ${plain}`].median,
      atMost: 1.05,
    },
  ]);
  return { figures, targets };
}
