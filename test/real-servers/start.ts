import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort } from '../support/free-port.ts';

export type RealName =
  | 'dynamodb'
  | 'ministack'
  | 'moto'
  | 'openbao'
  | 'kubernetes'
  | 'mariadb'
  | 'redis'
  | 'sshd'
  | 'pgbouncer';

export interface RealServer {
  /** Where it answers, on loopback. */
  readonly url: string;
  /** What this start wrote: logs; of kubernetes also `ca.crt` and `kubeconfig`. Gone after `stop`. */
  readonly folder: string;
  stop(): Promise<void>;
}

const schemes: Partial<Record<RealName, string>> = {
  kubernetes: 'https',
  mariadb: 'mysql',
  redis: 'redis',
  sshd: 'ssh',
  pgbouncer: 'postgres',
};

const script = (name: string): string => fileURLToPath(new URL(`${name}.sh`, import.meta.url));

/** Why this server's tests, or those of the two checkers `tlog`, cannot run here; undefined when it is installed. */
export function lacks(name: RealName | 'tlog'): string | undefined {
  const { status } = spawnSync('bash', [script(name), 'installed'], { stdio: 'ignore' });
  return status === 0 ? undefined : `${name} is not installed: bash test/real-servers/${name}.sh install`;
}

/** Puts the pinned version into the cache; its progress goes to stderr. Throws when it cannot be had. */
export function install(name: RealName): void {
  const { status } = spawnSync('bash', [script(name), 'install'], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`${name} could not be installed`);
}

/** Starts an installed server on free ports and waits until it answers; it ends with `stop`, or with this process. */
export async function startReal(
  name: RealName,
  options: { flags?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
): Promise<RealServer> {
  const lacking = lacks(name);
  if (lacking !== undefined) throw new Error(lacking);
  const folder = mkdtempSync(join(tmpdir(), `hallpass-${name}-`));
  const port = await freePort(4);
  const args = [script(name), 'start', String(port), folder, ...(options.flags ?? [])];
  // The open pipe to its standard input is what keeps it alive.
  const child = spawn('bash', args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...options.env } });
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.stdin.end();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => line === 'ready' && resolve());
    ended.then(() => reject(new Error(`${name} did not start: ${errors}`)));
  }).catch(async (error) => {
    await stop();
    throw error;
  });
  return { url: `${schemes[name] ?? 'http'}://127.0.0.1:${port}`, folder, stop };
}
