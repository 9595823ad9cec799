import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Tests that start the product start what is built: once for the whole run, from the sources as they are. What else is made
 * once lies in the folder HALLPASS_TEST_RUN.
 */
export default function setup(): () => void {
  const script = fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url));
  execFileSync(process.execPath, [script, '--if-needed'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-tests-'));
  process.env.HALLPASS_TEST_RUN = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
