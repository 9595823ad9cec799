import { buildDeployment } from '../../config/build.ts';
import { UnreadKey } from '../../config/parts/key-refs.ts';
import { StoreFault as LogFault } from '../../ledger/log-store.ts';
import { pick } from '../../lib/catalog.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import type { Platform } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';
import { stores } from '../../stores/index.ts';
import { openStores } from '../../stores/open.ts';
import { type Store, StoreError } from '../../stores/store.ts';
import { type ConfigFile, readConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { nodePlatform } from '../node-platform.ts';
import { plainJson, shown, type Terminal, withProgress } from '../terminal.ts';
import { findUnmade } from '../unmade.ts';
import { adviceFor } from './advice.ts';
import { requireStore } from './open-store.ts';

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
  const file = await readConfigFile(options.config, terminal);
  requireStore(file.config, name);
  const steps: string[] = [];
  const step = (of: string, at: string) => {
    if (of === name && !steps.includes(at)) steps.push(at);
  };
  const result = await withProgress(terminal, `trying ${name}`, attempt(file, name, options, terminal, step));
  const failed = 'code' in result ? result : undefined;
  const rows = rowsOf(steps, options.secret === undefined ? 'list' : 'read', failed);
  report(terminal, options.json === true, name, rows, result);
  return failed === undefined ? exit.done : failed.code;
}

interface Passed {
  /** How many names were listed. */
  readonly names?: number;
}

interface Failed {
  /** Absent: whatever step was begun last. */
  readonly step?: string | undefined;
  readonly code: number;
  readonly problem: string;
  readonly hint?: string | undefined;
}

async function attempt(
  { config, folder }: ConfigFile,
  name: string,
  { config: file, secret }: Options,
  terminal: Terminal,
  step: (store: string, at: string) => void,
): Promise<Passed | Failed> {
  let asked: string | undefined;
  // A login has a time of its own, which the answer does not wait for.
  const ended = new AbortController();
  const platform = watched({ ...nodePlatform(terminal, folder), log: () => {} }, ended.signal, (url) => {
    asked = new URL(url).origin;
  });
  const { storeMs } = config.limits;
  const entry = config.stores[name] as ConfigFile['config']['stores'][string];
  const byAssertion = pick(stores, entry.kind).assertion?.(entry) !== undefined;
  let close = async () => {};
  try {
    let store: Store;
    if (byAssertion) {
      step(name, 'ledger');
      const unmade = await findUnmade(config, folder, file);
      if (unmade !== undefined) return { step: 'ledger', code: exit.negative, ...unmade };
      const deployment = await buildDeployment(config, platform, { step });
      close = deployment.close;
      store = await deployment.openStore(name);
    } else {
      store = await openStores(config.stores, { ...platform, storeMs, step }).open(name);
    }
    // As long as the broker itself would wait.
    const deadline = deadlineIn(storeMs, platform.now);
    if (secret === undefined) return { names: (await store.list(deadline)).length };
    await store.get(secret, undefined, deadline);
    return {};
  } catch (error) {
    return failureOf(error, name, asked);
  } finally {
    ended.abort();
    await close();
  }
}

/** The platform, telling of each URL before it is asked; what is still asked ends with `ended`. */
function watched(platform: Platform, ended: AbortSignal, tell: (url: string) => void): Platform {
  type Fetch = Platform['fetch'];
  const telling =
    (fetch: Fetch): Fetch =>
    (url, init) => {
      tell(url);
      return fetch(url, { ...init, signal: init.signal ? AbortSignal.any([init.signal, ended]) : ended });
    };
  const { fetch, fetchTrusting } = platform;
  return {
    ...platform,
    fetch: telling(fetch),
    fetchTrusting: fetchTrusting && (async (ca) => telling(await fetchTrusting(ca))),
  };
}

function failureOf(error: unknown, store: string, asked: string | undefined): Failed {
  if (error instanceof StoreError) return { step: error.facts.step, ...adviceFor(error, store, asked) };
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
  readonly state: 'ok' | 'failed' | 'not tried';
}

/** The steps in the order they began; what was asked of the store at last is the last, tried or not. */
function rowsOf(begun: readonly string[], last: 'list' | 'read', failed: Failed | undefined): Row[] {
  const steps = [...begun.filter((step) => step !== last)];
  const stop = failed === undefined ? undefined : (failed.step ?? begun.at(-1) ?? last);
  if (stop !== undefined && stop !== last && !steps.includes(stop)) steps.push(stop);
  steps.push(last);
  const at = stop === undefined ? steps.length : steps.indexOf(stop);
  return steps.map((step, index) => ({
    step,
    state: index < at ? 'ok' : index === at ? 'failed' : 'not tried',
  }));
}

function aboutOf(step: string, result: Passed | Failed): string {
  const names = 'names' in result && step === 'list' ? result.names : undefined;
  if (names !== undefined) return names === 1 ? '1 name is listed' : `${names} names are listed`;
  return abouts[step] ?? step;
}

function report(terminal: Terminal, json: boolean, store: string, rows: readonly Row[], result: Passed | Failed): void {
  const failed = 'code' in result;
  if (json) {
    const { problem, hint, names }: Partial<Failed & Passed> = result;
    const steps = rows.map(({ step, state }) => ({ step, state }));
    terminal.out(`${plainJson({ store, ok: !failed, steps, names, problem, hint }, 2)}\n`);
    return;
  }
  for (const { step, state } of rows)
    terminal.out(`${state.padEnd(10)}${step.padEnd(12)}${shown(aboutOf(step, result))}\n`);
  if (!failed) return;
  terminal.err(`hallpass: ${shown(store)}: ${shown(result.problem)}\n`);
  if (result.hint !== undefined) terminal.err(`  ${shown(result.hint)}\n`);
}
