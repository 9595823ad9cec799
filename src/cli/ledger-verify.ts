import { kinds } from '../credentials/index.ts';
import type { Inspection } from '../ledger/driver.ts';
import { StoreFault } from '../ledger/log-store.ts';
import { NoteError } from '../ledger/note.ts';
import { type VerifyReport, verifyLog } from '../ledger/verify.ts';
import { readConfigFile } from './config-file.ts';
import { exit, Failure } from './failure.ts';
import { inspectLedger } from './ledger-inspect.ts';
import { ledgerKey } from './ledger-key.ts';
import { publishedSource, type ReadPublished } from './ledger-tiles.ts';
import { shown, type Terminal } from './terminal.ts';

const quietMs = 1_000;

/** Where the log to be verified is: exactly one of `config`, `tiles` and `url`; the latter two with `key`. */
export interface VerifyTarget {
  readonly config?: string;
  /** A folder that holds a published log. */
  readonly tiles?: string;
  /** A published log, read as `readLog` reads it. */
  readonly url?: string;
  readonly readLog: ReadPublished;
  readonly key?: string;
}

/** Verifies a log, beside its running server too. @throws Failure when it, its key or `since` cannot be read at all */
export async function verify(
  target: VerifyTarget,
  since: string | undefined,
  terminal: Terminal,
): Promise<VerifyReport> {
  try {
    const { source, key, close } = await openTarget(target, terminal);
    try {
      return await verifyLog(source, {
        key,
        needIntent: new Set(kinds.filter(({ made }) => made === 'target').map(({ name }) => name)),
        ...(since === undefined ? {} : { since }),
        progress: showProgress(terminal),
      });
    } finally {
      await close();
    }
  } catch (error) {
    if (error instanceof NoteError)
      throw new Failure(exit.negative, `the key or a checkpoint does not verify: ${error.reason}`);
    if (error instanceof StoreFault) throw new Failure(exit.negative, `the ledger cannot be read: ${error.reason}`);
    throw error;
  }
}

interface Opened extends Inspection {
  readonly key: string;
}

/** With a config the key comes from its signer; a published log is never asked for the key it is checked with. */
async function openTarget({ config, tiles, url, readLog, key }: VerifyTarget, terminal: Terminal): Promise<Opened> {
  if ([config, tiles, url].filter((where) => where !== undefined).length !== 1)
    throw new Failure(exit.usage, 'say which log: one of --config, --tiles and --url');
  if (config !== undefined) {
    const file = await readConfigFile(config, terminal);
    return { key: key ?? (await ledgerKey(file, terminal)), ...(await inspectLedger(file, terminal)) };
  }
  if (key === undefined)
    throw new Failure(exit.usage, 'with --tiles and --url the log needs --key', 'as you know it, not as the log says');
  return { key, source: await publishedSource(readLog, key), close: async () => {} };
}

/** One line for each finding and each open intent. */
export function describeReport({ findings, open }: VerifyReport): string {
  const found = findings.map(
    ({ index, code, message }) => `${index === undefined ? 'log' : `entry ${index}`}: ${code}: ${shown(message)}\n`,
  );
  const pending = open.map(({ index, issuance }) => `entry ${index}: open: the intent of ${issuance} has no outcome\n`);
  return [...found, ...pending].join('');
}

/** What it comes to, in one line. */
export const summarize = ({ size, findings, open }: VerifyReport): string =>
  `${size} entries, ${open.length} open, ${findings.length === 0 ? 'nothing wrong found' : `${findings.length} findings`}\n`;

/** A line that is written over, at most once a second, on a terminal only. */
function showProgress(terminal: Terminal): (done: number, size: number) => void {
  let last = terminal.now();
  return (done, size) => {
    if (!terminal.errIsTerminal || terminal.now() - last < quietMs) return;
    last = terminal.now();
    terminal.err(`\r${done} of ${size} entries${done === size ? '\n' : ''}`);
  };
}
