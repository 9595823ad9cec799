import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export type CommitFault = 'disk full' | 'read-only' | 'fsync error' | 'hang' | 'thread ends';

/** A commit worker for one sqlite ledger, and the switch that makes its commits fail. */
export function faultyCommits(folder: string, name: string) {
  const control = join(folder, `${name}.fault`);
  const file = join(folder, `${name}.mjs`);
  const real = new URL('./faulty-commit-worker.mjs', import.meta.url).href;
  writeFileSync(
    file,
    `globalThis.faultControl = ${JSON.stringify(control)};\nawait import(${JSON.stringify(real)});\n`,
  );
  return {
    commitWorker: pathToFileURL(file),
    set(fault: CommitFault | undefined): void {
      if (fault === undefined) rmSync(control, { force: true });
      else writeFileSync(control, fault);
    },
  };
}
