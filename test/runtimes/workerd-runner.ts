import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../support/server.ts';
import { audience, type Send } from './scenario.ts';

const dist = join(repository, 'dist');

export interface RunningWorkerd {
  readonly send: Send;
  /** Sends a request to one of the callers. */
  readonly sendTo: (caller: string, path: string) => Promise<Response>;
  /** One scheduled run. */
  readonly upkeep: () => Promise<void>;
  /** What the Worker and its ledger logged so far. */
  log(): string;
  end(): Promise<void>;
}

export interface WorkerdOptions {
  readonly config: unknown;
  /** String bindings. */
  readonly variables: Readonly<Record<string, string>>;
  /** Where the Durable Object keeps its log. */
  readonly folder: string;
  /** Where others reach it over HTTP on loopback; any free port when left out. */
  readonly port?: number;
  /** Other Workers of the account, by name: their module, and the props of their binding `HALLPASS`. */
  readonly callers?: Readonly<Record<string, { readonly script: string; readonly props?: unknown }>>;
}

/** The built Worker in workerd, its ledger in a Durable Object. */
export async function startWorkerd({
  config,
  variables,
  folder,
  port,
  callers = {},
}: WorkerdOptions): Promise<RunningWorkerd> {
  // Loaded late: it reads NODE_EXTRA_CA_CERTS, which certificates workerd trusts, when it is loaded.
  const { Miniflare } = await import('miniflare');
  const chunks = readdirSync(join(dist, 'worker')).map((name) => join(dist, 'worker', name));
  let log = '';
  const broker = {
    name: 'hallpass',
    modules: [join(dist, 'worker.js'), ...chunks].map((path) => ({ type: 'ESModule' as const, path })),
    modulesRoot: dist,
    compatibilityDate: '2026-04-01',
    compatibilityFlags: ['nodejs_compat'],
    bindings: { ...variables, HALLPASS_CONFIG: JSON.stringify(config) },
    durableObjects: { LEDGER: { className: 'Ledger', useSQLite: true } },
  };
  const others = Object.entries(callers).map(([name, { script, props }]) => ({
    name,
    modules: true as const,
    script,
    compatibilityDate: '2026-04-01',
    serviceBindings: { HALLPASS: { name: 'hallpass', entrypoint: 'Workload', ...(props !== undefined && { props }) } },
  }));
  const workerd = new Miniflare({
    host: '127.0.0.1',
    ...(port !== undefined && { port }),
    workers: [broker, ...others],
    handleRuntimeStdio: (...streams: { on(event: 'data', take: (text: unknown) => void): unknown }[]) => {
      for (const stream of streams)
        stream.on('data', (text) => {
          log += String(text);
        });
    },
    durableObjectsPersist: folder,
  });
  await workerd.ready;
  return {
    send: async (path, init) =>
      (await workerd.dispatchFetch(`${audience}${path}`, init as never)) as unknown as Response,
    sendTo: async (caller, path) => {
      const worker = await workerd.getWorker(caller);
      return (await worker.fetch(`http://caller.test${path}`)) as unknown as Response;
    },
    async upkeep() {
      const { outcome } = await (await workerd.getWorker('hallpass')).scheduled({ cron: '* * * * *' });
      if (outcome !== 'ok') throw new Error(`the scheduled run ended as ${outcome}`);
    },
    log: () => log,
    end: () => workerd.dispose(),
  };
}
