import { initLedger } from '../../config/parts/init-ledger.ts';
import { readConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { ledgerFailure } from '../ledger-failure.ts';
import { nodePlatform } from '../node-platform.ts';
import { type Terminal, withProgress } from '../terminal.ts';

const words = { made: 'made', upgraded: 'brought up to date', there: 'there already, nothing to do' } as const;

/** Makes what a config's ledger needs before the first append, and shows its verifier key on stdout. @throws Failure */
export async function initLedgerOf(path: string, terminal: Terminal): Promise<void> {
  const file = await readConfigFile(path, terminal);
  const { config, folder } = file;
  const platform = { ...nodePlatform(terminal, folder), log: () => {} };
  const made = await withProgress(terminal, 'making the ledger', initLedger(config, platform)).catch((error) => {
    throw ledgerFailure(error, config.ledger.kind, 'the ledger could not be made');
  });
  if (made === undefined) {
    const hint = config.ledger.kind === 'http' ? `run it where ${String(config.ledger.url)} runs` : 'nothing to do';
    throw new Failure(exit.negative, `a ${config.ledger.kind} ledger is not made from here`, hint);
  }
  terminal.out(`${made.key}\n`);
  terminal.err(`the ledger ${config.ledger.origin} is ${words[made.done]}; above is its verifier key, to be kept\n`);
}
