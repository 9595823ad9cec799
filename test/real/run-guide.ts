import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuideStep } from '../../src/lib/guide.ts';

/** Does what a guide says, as an operator would: writes its documents into the folder, pastes its lines into one shell. */
export function runGuide(
  steps: readonly GuideStep[],
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  for (const { file } of steps)
    if (file !== undefined) writeFileSync(join(folder, file.name), JSON.stringify(file.json));
  const lines = steps.map(({ shell }) => shell ?? '').join('\n');
  return new Promise((resolve, reject) => {
    const options = { cwd: folder, env: { ...process.env, ...env } };
    execFile('bash', ['-euc', lines], options, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(`${error.message}\n${stderr}`)),
    );
  });
}
