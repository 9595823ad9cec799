// verify's rate over the bare SHA-256 rate of the same records on one core.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundles } from '../scripts/bundles.mjs';
import { summary } from './median.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

export async function benchVerify({ rounds, entries = Number(process.env.HALLPASS_BENCH_ENTRIES ?? 1_000_000) }) {
  const outfile = join(root, 'bench/build/verify.mjs');
  await build({
    entryPoints: [join(root, 'bench/verify.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
  });
  await build(bundles.verifyWorker(join(root, 'bench/build')));
  const env = { ...process.env, HALLPASS_COMMIT_WORKER: join(root, 'src/ledger/drivers/sqlite/commit-worker.mjs') };
  const args = ['--max-old-space-size=4096', outfile, String(entries), String(rounds)];
  const said = execFileSync(process.execPath, args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'inherit'] });
  return { entries, ...JSON.parse(said) };
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
