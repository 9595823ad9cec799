// npm run bench [-- issue|decide|cold|foreign|ledger|lone-writers|postgres|questions|sinks]: ratios, medians and spread of one run, against the targets. Writes
// bench/results/*.json. Figures are for comparing within a run: machines differ, ratios less so.
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchCold, reportCold } from './cold.mjs';
import { pinned } from './cores.mjs';
import { benchForeign, reportForeign } from './foreign.mjs';
import { benchIssue, reportIssue } from './issue.mjs';
import { benchLedger, reportLedger } from './ledger.mjs';
import { benchLoneWriters, reportLoneWriters } from './lone-writers.mjs';
import { runPart } from './part.mjs';
import { benchPostgres, reportPostgres } from './postgres.mjs';
import { benchQuestions, reportQuestions } from './questions.mjs';
import { benchSinks, reportSinks } from './sinks.mjs';
import { benchVerify, reportVerify } from './verify.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const rounds = Number(process.env.HALLPASS_BENCH_ROUNDS ?? 5);
const seconds = Number(process.env.HALLPASS_BENCH_SECONDS ?? 3);
const rows = Number(process.env.HALLPASS_BENCH_ROWS ?? 10_000_000);
const entries = Number(process.env.HALLPASS_BENCH_ENTRIES ?? 1_000_000);

async function decide() {
  const { compileMs, nanoseconds, ratio, spread } = await runPart('decide', { command: pinned(0) });
  const figures = {
    'compile 100,000 grants (ms)': { median: compileMs, min: compileMs, max: compileMs, n: 1 },
    'decision at 1 grant (ns)': nanoseconds,
    'decision at 100,000 grants / at 1, one identity': ratio,
    'decision at 100,000 grants / at 1, 1,000 identities': spread,
  };
  return { figures, targets: [{ name: 'decision at 100,000 grants / at 1', value: ratio.median, atMost: 2 }] };
}

const benches = {
  issue: async () => reportIssue(await benchIssue({ rounds, seconds, tokens: 4_000 })),
  decide,
  ledger: async () => reportLedger(await benchLedger({ rounds, seconds, tokens: 4_000, rows })),
  'lone-writers': async () => reportLoneWriters(await benchLoneWriters({ rounds })),
  cold: async () => reportCold(await benchCold({ rounds: rounds * 3 })),
  foreign: async () => reportForeign(await benchForeign({ rounds })),
  postgres: async () => reportPostgres(await benchPostgres()),
  questions: async () => reportQuestions(await benchQuestions({ entries })),
  verify: async () => reportVerify(await benchVerify({ rounds })),
  sinks: async () => reportSinks(await benchSinks({ rounds, seconds, tokens: 4_000 })),
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  console.error(`no bench ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}`);
  process.exit(2);
}
mkdirSync(join(root, 'bench/results'), { recursive: true });
for (const name of asked.length > 0 ? asked : Object.keys(benches)) {
  const { figures, targets } = await benches[name]();
  console.log(`\n${name}`);
  for (const [what, { median, min, max, n }] of Object.entries(figures)) {
    console.log(`  ${what.padEnd(54)} ${String(median).padStart(8)}   ${min} to ${max}, n=${n}`);
  }
  for (const target of targets) {
    const { value, atLeast, atMost } = target;
    target.met = atLeast === undefined ? value <= atMost : value >= atLeast;
    const bound = atLeast === undefined ? `<= ${atMost}` : `>= ${atLeast}`;
    const off = target.met
      ? ''
      : `, off by ${Math.abs(((value - (atLeast ?? atMost)) / (atLeast ?? atMost)) * 100).toFixed(0)} %`;
    console.log(`  ${target.met ? 'met   ' : 'MISSED'} ${target.name}: ${value} (target ${bound}${off})`);
  }
  const host = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length };
  writeFileSync(
    join(root, `bench/results/${name}.json`),
    `${JSON.stringify({ at: new Date().toISOString(), host, figures, targets }, null, 2)}\n`,
  );
}
