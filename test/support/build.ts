import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Tests that start the product start what is built: once for the whole run, from the sources as they are. */
export default function setup(): void {
  const script = fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url));
  execFileSync(process.execPath, [script, '--if-needed'], { stdio: ['ignore', 'ignore', 'inherit'] });
}
