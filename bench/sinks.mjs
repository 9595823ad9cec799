// Issuance with a durable ledger beside the same with a sink that takes all, and with one that is down; interleaved in one run.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pinned } from './cores.mjs';
import { burst, makeTokens } from './issue.mjs';
import { summary } from './median.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const path = '/v1/credentials/stripe-key';

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

export async function benchSinks({ rounds, seconds, tokens }) {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-bench-'));
  const { jwks, files } = makeTokens(folder, tokens);
  const children = [];
  const start = async (core, args, env = {}) => {
    const [command, ...rest] = [...pinned(core), ...args];
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, ...env } });
    children.push(child);
    return firstLine(child);
  };
  const serve = async (name, sink) => {
    const home = join(folder, name);
    mkdirSync(home);
    const file = join(home, 'hallpass.json');
    writeFileSync(file, JSON.stringify(configOf(jwks, sink)));
    const args = [join(root, 'dist/hallpass.mjs'), 'serve', '--config', file, '--port', '0'];
    const { url } = JSON.parse(await start(0, args, { BENCH_SECRET_stripe: 'not-a-real-secret' }));
    return { url, pid: children.at(-1).pid };
  };
  const receiver = join(root, 'bench/receiver.mjs');
  const rates = {};
  const costs = {};
  const lag = [];
  try {
    const servers = {
      'no sink': await serve('none'),
      sink: await serve('up', await start(1, [receiver, 'up'])),
      'sink down': await serve('down', await start(1, [receiver, 'down'])),
    };
    for (const { url } of Object.values(servers)) burst(`${url}${path}`, 64, 2, files.ES256);
    for (let round = 0; round < rounds; round++) {
      for (const [name, { url, pid }] of Object.entries(servers)) {
        const before = cpuOf(pid);
        const { rate, ok, failed } = burst(`${url}${path}`, 64, seconds, files.ES256);
        if (failed > 0) throw new Error(`${name}: ${failed} requests failed`);
        rates[name] = [...(rates[name] ?? []), rate];
        if (name === 'sink') lag.push(await drained(url));
        costs[name] = [...(costs[name] ?? []), (cpuOf(pid) - before) / ok];
      }
      process.stderr.write(`round ${round + 1} of ${rounds}\n`);
    }
  } finally {
    for (const child of children) child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
  return { rates, costs, lag };
}

/** Microseconds of processor time that a process has used (Linux: clock ticks of 10 ms). */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Seconds from the end of the load until the sink has everything. */
async function drained(url) {
  const began = performance.now();
  for (;;) {
    const text = await (await fetch(`${url}/metrics`)).text();
    if (/^hallpass_sink_lag_records\{[^}]*\} 0$/m.test(text)) return (performance.now() - began) / 1000;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const ratio = (over, under) => summary(over.map((rate, round) => rate / under[round]));

export function reportSinks({ rates, costs, lag }) {
  const figures = {};
  for (const [name, values] of Object.entries(rates)) figures[`rate, ${name} (1/s)`] = summary(values);
  figures['sink / no sink'] = ratio(rates.sink, rates['no sink']);
  figures['sink down / no sink'] = ratio(rates['sink down'], rates['no sink']);
  for (const [name, values] of Object.entries(costs))
    figures[`processor time of an issuance, ${name} (us)`] = summary(values);
  figures['processor time, sink / no sink'] = ratio(costs.sink, costs['no sink']);
  figures['until the sink has it all, after the load (s)'] = summary(lag);
  const targets = [
    { name: 'sink / no sink', value: figures['sink / no sink'].median, atLeast: 0.95 },
    { name: 'sink down / no sink', value: figures['sink down / no sink'].median, atLeast: 0.95 },
  ];
  return { figures, targets };
}
