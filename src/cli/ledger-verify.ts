import { kinds } from '../credentials/index.ts';
import { StoreFault } from '../ledger/log-store.ts';
import { NoteError } from '../ledger/note.ts';
import { type VerifyReport, verifyLog } from '../ledger/verify.ts';
import { readConfigFile } from './config-file.ts';
import { exit, Failure } from './failure.ts';
import { inspectLedger } from './ledger-inspect.ts';
import { ledgerKey } from './ledger-key.ts';
import type { Terminal } from './terminal.ts';

const quietMs = 1_000;

/**
 * Verifies the ledger of a config, beside a running server too, under the key that the config's signer gives.
 *
 * @throws Failure when the ledger or `since` cannot be read at all
 */
export async function verifyConfig(file: string, since: string | undefined, terminal: Terminal): Promise<VerifyReport> {
  const configFile = await readConfigFile(file, terminal);
  const key = await ledgerKey(configFile, terminal);
  const { source, close } = await inspectLedger(configFile);
  try {
    return await verifyLog(source, {
      key,
      needIntent: new Set(kinds.filter(({ made }) => made === 'target').map(({ name }) => name)),
      ...(since === undefined ? {} : { since }),
      progress: showProgress(terminal),
    });
  } catch (error) {
    if (error instanceof NoteError)
      throw new Failure(exit.negative, `the checkpoint given does not verify: ${error.reason}`);
    if (error instanceof StoreFault) throw new Failure(exit.unreachable, `the ledger cannot be read: ${error.reason}`);
    throw error;
  } finally {
    await close();
  }
}

/** One line for each finding and each open intent, and one that sums up. */
export function describeReport({ size, findings, open }: VerifyReport): string {
  const found = findings.map(
    ({ index, code, message }) => `${index === undefined ? 'log' : `entry ${index}`}: ${code}: ${message}\n`,
  );
  const pending = open.map(({ index, issuance }) => `entry ${index}: open: the intent of ${issuance} has no outcome\n`);
  const sum = findings.length === 0 ? 'nothing wrong was found' : `${findings.length} findings`;
  return `${found.join('')}${pending.join('')}${size} entries, ${open.length} open: ${sum}\n`;
}

/** A line that is written over, at most once a second, on a terminal only. */
function showProgress(terminal: Terminal): (done: number, size: number) => void {
  let last = terminal.now();
  return (done, size) => {
    if (!terminal.errIsTerminal || terminal.now() - last < quietMs) return;
    last = terminal.now();
    terminal.err(`\r${done} of ${size} entries${done === size ? '\n' : ''}`);
  };
}
