// verify's rate over the bare SHA-256 rate of the same records on one core.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundles } from '../scripts/bundles.mjs';
import { summary } from './median.mjs';
import { runPart } from './part.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

export async function benchVerify({ rounds, entries = Number(process.env.HALLPASS_BENCH_ENTRIES ?? 1_000_000) }) {
  await build(bundles.verifyWorker(join(root, 'bench/build')));
  const said = await runPart('verify', {
    command: [process.execPath, '--max-old-space-size=4096'],
    args: [String(entries), String(rounds)],
    env: { HALLPASS_COMMIT_WORKER: join(root, 'src/ledger/drivers/sqlite/commit-worker.mjs') },
  });
  return { entries, ...said };
}

export function reportVerify({ entries, figures, peakMiB }) {
  const ratio = summary(figures.map(({ bare, verify }) => verify / bare));
  return {
    figures: {
      [`verify of ${entries} issuances (entries/s)`]: summary(figures.map(({ verify }) => verify)),
      'bare SHA-256 of their records, one core (records/s)': summary(figures.map(({ bare }) => bare)),
      'verify / bare SHA-256': ratio,
      'peak of memory, the records of the bare run in it (MiB)': summary([peakMiB]),
    },
    targets: [{ name: 'verify / bare SHA-256 of the same records', value: ratio.median, atLeast: 1 }],
  };
}
