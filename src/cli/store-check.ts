import { buildDeployment } from '../config/build.ts';
import type { Config } from '../config/config.ts';
import { UnreadKey } from '../config/key-refs.ts';
import { StoreFault as LogFault } from '../ledger/log-store.ts';
import { pick } from '../lib/catalog.ts';
import { deadlineIn } from '../lib/deadline.ts';
import type { Platform } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { stores } from '../stores/index.ts';
import { openStores } from '../stores/open.ts';
import { type Store, StoreError } from '../stores/store.ts';
import { readConfigFile } from './config-file.ts';
import { exit, Failure } from './failure.ts';
import { nodePlatform } from './node-platform.ts';
import { requireStore } from './open-store.ts';
import { adviceFor } from './store-advice.ts';
import { shown, type Terminal, withProgress } from './terminal.ts';

const checkMs = 20_000;

/** What each step is about; one that is not here is shown by its own name. */
const abouts: Readonly<Record<string, string>> = {
  ledger: 'the ledger is open',
  identity: 'the platform says who we are',
  assertion: 'the ledger records a session and signs our assertion',
  exchange: 'the other side takes the assertion',
  impersonate: 'its service account lets us act as it',
  login: 'the store logs us in',
  read: 'the secret is read',
  list: 'the names are listed',
};

interface Options {
  readonly config: string;
  readonly secret?: string;
  readonly json?: true;
}

/** Runs the steps and prints them. @returns the exit code @throws Failure when there is nothing to be tried */
export async function checkStore(name: string, options: Options, terminal: Terminal): Promise<number> {
  const { config, folder } = await readConfigFile(options.config, terminal);
  requireStore(config, name);
  const platform = { ...nodePlatform(terminal, folder), log: () => {} };
  const steps: string[] = [];
  const step = (of: string, at: string) => {
    if (of === name && !steps.includes(at)) steps.push(at);
  };
  const failed = await withProgress(terminal, `trying ${name}`, attempt(config, platform, name, options.secret, step));
  report(
    terminal,
    options.json === true,
    name,
    rowsOf(steps, options.secret === undefined ? 'list' : 'read', failed),
    failed,
  );
  return failed === undefined ? exit.done : failed.code;
}

interface Failed {
  /** Absent: whatever step was begun last. */
  readonly step?: string | undefined;
  readonly code: number;
  readonly problem: string;
  readonly hint?: string | undefined;
}

async function attempt(
  config: Config,
  platform: Platform,
  name: string,
  secret: string | undefined,
  step: (store: string, at: string) => void,
): Promise<Failed | undefined> {
  const entry = config.stores[name] as Config['stores'][string];
  const byAssertion = pick(stores, entry.kind).assertion?.(entry) !== undefined;
  let close = async () => {};
  try {
    let store: Store;
    if (byAssertion) {
      step(name, 'ledger');
      const deployment = await buildDeployment(config, platform, { step });
      close = deployment.close;
      store = await deployment.openStore(name);
    } else {
      store = await openStores(config.stores, { ...platform, storeMs: config.limits.storeMs, step }).open(name);
    }
    const deadline = deadlineIn(checkMs, platform.now);
    if (secret === undefined) await store.list(deadline);
    else await store.get(secret, undefined, deadline);
    return undefined;
  } catch (error) {
    return failureOf(error, name);
  } finally {
    await close();
  }
}

function failureOf(error: unknown, store: string): Failed {
  if (error instanceof StoreError) return { step: error.facts.step, ...adviceFor(error, store) };
  if (error instanceof UnreadKey) return { step: 'ledger', code: exit.unreachable, problem: error.message };
  if (error instanceof Refusal || error instanceof LogFault) {
    const hint = 'the config must be one that this machine can run: its ledger signs the assertion';
    return { step: 'ledger', code: exit.unreachable, problem: `the ledger cannot be used (${error.reason})`, hint };
  }
  if (error instanceof Failure) throw error;
  return { code: exit.negative, problem: error instanceof Error ? error.message : 'failed' };
}

interface Row {
  readonly step: string;
  readonly about: string;
  readonly state: 'ok' | 'failed' | 'not tried';
}

/** The steps in the order they began; what was asked of the store at last is the last, tried or not. */
function rowsOf(begun: readonly string[], last: 'list' | 'read', failed: Failed | undefined): Row[] {
  const steps = [...begun.filter((step) => step !== last)];
  const stop = failed === undefined ? undefined : (failed.step ?? last);
  if (stop !== undefined && stop !== last && !steps.includes(stop)) steps.push(stop);
  steps.push(last);
  const at = stop === undefined ? steps.length : steps.indexOf(stop);
  return steps.map((step, index) => ({
    step,
    about: abouts[step] ?? step,
    state: index < at ? 'ok' : index === at ? 'failed' : 'not tried',
  }));
}

function report(
  terminal: Terminal,
  json: boolean,
  store: string,
  rows: readonly Row[],
  failed: Failed | undefined,
): void {
  if (json) {
    const { problem, hint } = failed ?? {};
    const steps = rows.map(({ step, state }) => ({ step, state }));
    terminal.out(`${JSON.stringify({ store, ok: failed === undefined, steps, problem, hint }, null, 2)}\n`);
    return;
  }
  for (const { about, step, state } of rows) terminal.out(`${state.padEnd(10)}${step.padEnd(12)}${shown(about)}\n`);
  if (failed === undefined) return;
  terminal.err(`hallpass: ${shown(store)}: ${shown(failed.problem)}\n`);
  if (failed.hint !== undefined) terminal.err(`  ${shown(failed.hint)}\n`);
}
