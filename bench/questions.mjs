// An auditor's questions to a ledger of a million issuances: the first page of each, over HTTP, its `read` record included;
// how long the index takes to build and how large it is; whether an export takes more memory the more it exports.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundles } from '../scripts/bundles.mjs';
import { summary } from './median.mjs';
import { runPart } from './part.mjs';

export async function benchQuestions({ entries, asks = 40 }) {
  // Beside the bundle of this bench, as it lies beside the server's.
  await build({ ...bundles.indexReader(fileURLToPath(new URL('build', import.meta.url))), write: true });
  return runPart('questions', {
    command: [process.execPath, '--expose-gc'],
    env: { BENCH_ENTRIES: String(entries), BENCH_ASKS: String(asks) },
  });
}

const at = (values, part) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];

export function reportQuestions({ count, fillMs, buildMs, buildCpuMs, bytes, took, cpu, exported }) {
  const figures = {
    'entries appended (1/s)': summary([(count / fillMs) * 1000]),
    'entries indexed (1/s)': summary([(count / buildMs) * 1000]),
    'processor time of an entry indexed (us)': summary([(buildCpuMs * 1000) / count]),
    'bytes of an entry in the ledger': summary([bytes.ledger / count]),
    'bytes of an entry in the index': summary([bytes.index / count]),
  };
  const asked = Object.values(took).reduce((sum, times) => sum + times.length, 0);
  figures['processor time of a question, mean (ms)'] = summary([cpu / asked]);
  for (const [name, times] of Object.entries(took)) {
    figures[`${name}: p50 (ms)`] = summary([at(times, 0.5)]);
    figures[`${name}: p95 (ms)`] = summary([at(times, 0.95)]);
  }
  for (const [format, { ms, bytes: length, before, most }] of Object.entries(exported)) {
    figures[`export as ${format} (MB/s)`] = summary([length / 1000 / ms]);
    figures[`export as ${format}: MB exported`] = summary([length / 1e6]);
    figures[`export as ${format}: MB of memory more than before`] = summary([(most - before) / 1e6]);
  }
  const worst = Math.max(...Object.values(took).map((times) => at(times, 0.95)));
  const memory = Math.max(...Object.values(exported).map(({ before, most }) => (most - before) / 1e6));
  const targets = [
    { name: `p95 of the slowest question at ${count} entries (ms)`, value: Math.round(worst), atMost: 100 },
    { name: 'memory that an export takes (MB)', value: Math.round(memory), atMost: 150 },
  ];
  return { figures, targets };
}
