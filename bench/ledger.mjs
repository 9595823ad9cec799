// What a durable record costs an issuance, beside a broker that keeps none: rates at several delays of a sync, and the
// added time at a steady rate. Then what an append costs on a large log, on shards, and from many lone writers.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pinned } from './cores.mjs';
import { burst, makeTokens, startServers } from './issue.mjs';
import { summary } from './median.mjs';
import { runPart } from './part.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const delays = [0, 2, 20];
const path = '/v1/credentials/stripe-key';
/** The bound's own rate, and one that a slow machine bears too: beyond what it bears, a median is that of a queue. */
const perSecond = [300, 1_000];

function paced(url, rate, seconds, file) {
  const [command, ...args] = [...pinned(1), join(root, 'bench/paced.mjs'), url, rate, seconds, file];
  return JSON.parse(execFileSync(command, args.map(String), { stdio: ['ignore', 'pipe', 'inherit'] }).toString());
}

async function issuing({ rounds, seconds, tokens }) {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-bench-'));
  const { jwks, files } = makeTokens(folder, tokens);
  const names = ['no-ledger', ...delays.map((ms) => `durable-${ms}ms`)];
  // Not held to one core, as its commits are on a thread of their own; the client is.
  const { child, servers } = await startServers(folder, jwks, names, [process.execPath]);
  const measured = {};
  const note = (key, value) => {
    measured[key] = [...(measured[key] ?? []), value];
  };
  try {
    for (const name of names) burst(`${servers[name]}${path}`, 64, 2, files.RS256);
    for (let round = 0; round < rounds; round++) {
      for (const connections of [64, 256])
        for (const name of names) {
          const { rate, failed } = burst(`${servers[name]}${path}`, connections, seconds, files.RS256);
          if (failed > 0) throw new Error(`${name}: ${failed} requests failed`);
          note(`${name}/${connections}`, rate);
        }
      for (const rate of perSecond)
        for (const name of ['no-ledger', 'durable-2ms']) {
          const { p50, p99, failed } = paced(`${servers[name]}${path}`, rate, seconds, files.RS256);
          if (failed > 0) throw new Error(`${name}: ${failed} requests failed`);
          note(`${name} at ${rate}/s, p50`, p50);
          note(`${name} at ${rate}/s, p99`, p99);
          if (name === 'no-ledger') continue;
          // Of the syncs of this very run: what is added is told in the delays that there were, not in those asked for.
          const { delay, whole } = JSON.parse(readFileSync(join(folder, 'sync-2ms.json'), 'utf8'));
          note(`delay of a sync at ${rate}/s, p50`, delay);
          note(`delay of a sync and the disk's own at ${rate}/s, p50`, whole);
        }
      process.stderr.write(`round ${round + 1} of ${rounds}\n`);
    }
  } finally {
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
  return measured;
}

export async function benchLedger({ rounds, seconds, tokens, rows }) {
  return {
    issuing: await issuing({ rounds, seconds, tokens }),
    appends: await runPart('ledger-appends', { env: { BENCH_ROWS: String(rows) } }),
  };
}

export function reportLedger({ issuing: measured, appends }) {
  const figures = {};
  const targets = [];
  for (const [name, values] of Object.entries(measured))
    figures[`${name} ${/p\d\d$/.test(name) ? '(ms)' : '(1/s)'}`] = summary(values);
  for (const connections of [64, 256])
    for (const ms of delays) {
      const over = measured[`durable-${ms}ms/${connections}`];
      const name = `durable / no ledger at ${connections}, sync + ${ms} ms`;
      figures[name] = summary(over.map((rate, at) => rate / measured[`no-ledger/${connections}`][at]));
      targets.push({ name, value: figures[name].median, atLeast: 0.95 });
    }
  for (const rate of perSecond) {
    const [durable, none] = ['durable-2ms', 'no-ledger'].map((name) => measured[`${name} at ${rate}/s, p50`]);
    const addedIn = (sync) =>
      summary(durable.map((p50, at) => (p50 - none[at]) / measured[`${sync} at ${rate}/s, p50`][at]));
    const added = `added p50 at ${rate}/s, in delays of 2 ms as long as they were`;
    figures[added] = addedIn('delay of a sync');
    figures[`${added} and the disk's own`] = addedIn("delay of a sync and the disk's own");
    targets.push({ name: added, value: figures[added].median, atMost: 1.75 });
  }
  return { figures: { ...figures, ...appends.figures }, targets: [...targets, ...appends.targets] };
}
