import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const repository = new URL('../..', import.meta.url).pathname;
export const cli = join(repository, 'dist/hallpass.mjs');

/** A folder of the test's own, and how to remove it. */
export function temporaryFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-test-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface RunningServer {
  readonly url: string;
  readonly child: ChildProcess;
  /** What the operator's log said so far. */
  log(): string;
  /** SIGTERM, and the exit code. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

/** Starts `hallpass serve` as its user would and waits for the listening line. */
export async function startServer(
  config: string,
  port = 0,
  prefix: readonly string[] = [],
  env: Record<string, string> = {},
  program = cli,
): Promise<RunningServer> {
  if (!existsSync(program))
    execFileSync(process.execPath, [join(repository, 'scripts/build.mjs')], { stdio: 'ignore' });
  const [command, ...args] = [
    ...prefix,
    process.execPath,
    program,
    'serve',
    '--config',
    config,
    '--port',
    String(port),
  ];
  const child = spawn(command as string, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const url = await new Promise<string>((resolve, reject) => {
    exited.then((code) => reject(new Error(`serve ended with ${code}: ${stderr}`)));
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).once('line', (line) =>
      resolve(JSON.parse(line).url),
    );
  });
  return {
    url,
    child,
    log: () => stderr,
    stop: () => {
      child.kill('SIGTERM');
      return exited;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Writes a config as JSON (which is YAML) into the folder. */
export function writeConfig(folder: string, config: unknown, name = 'hallpass.json'): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(config, null, 2));
  return file;
}

export function runCli(
  args: readonly string[],
  env: Record<string, string> = {},
  input?: string,
): { code: number; stdout: string; stderr: string } {
  try {
    const stdout = execFileSync(process.execPath, [cli, ...args], {
      env: { ...process.env, ...env },
      input,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    return { code: 0, stdout, stderr: '' };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
    return { code: status, stdout, stderr };
  }
}
