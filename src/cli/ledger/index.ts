import { buildDeployment } from '../../config/build.ts';
import type { QueryIndex } from '../../ledger/query-index.ts';
import { type Asked, catchUp } from '../../ledger/questions/catch-up.ts';
import { askedOf } from '../../ledger/questions/questions.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { readConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import { isAway, ledgerFailure } from '../ledger-failure.ts';
import { nodePlatform } from '../node-platform.ts';
import { shown, type Terminal } from '../terminal.ts';

/** One round, milliseconds: in between it says how far it is. */
const roundMs = 10_000;
const roundEntries = 20_000;
/** To empty a large one, milliseconds. */
const clearMs = 600_000;

/**
 * Builds the index of a config's ledger, or what of it is missing, beside a running server too. The log is only read.
 *
 * @throws Failure
 */
export async function indexLedger(path: string, rebuild: boolean, terminal: Terminal): Promise<void> {
  const { config, folder } = await readConfigFile(path, terminal);
  const { kind, url } = config.ledger;
  if (kind === 'http' || kind === 'durable-object') {
    const hint = kind === 'http' ? `run it where ${String(url)} runs` : 'it is built by itself, as it is asked';
    throw new Failure(exit.negative, `the index of a ${kind} ledger is not built from here`, hint);
  }
  const platform = { ...nodePlatform(terminal, folder), log: () => {} };
  const deployment = await buildDeployment(config, platform).catch((error) => {
    throw isAway(error) ? ledgerFailure(error, kind, '') : error;
  });
  try {
    for (const log of askedOf(deployment.ledger)) await indexLog(log, rebuild, terminal);
  } finally {
    await deployment.close();
  }
}

async function indexLog(log: Asked, rebuild: boolean, terminal: Terminal): Promise<void> {
  const { index, reader, origin } = log;
  if (index === undefined) throw new Failure(exit.negative, 'this ledger has no index');
  const within = () => deadlineIn(roundMs, terminal.now);
  if (rebuild) await index.clear(deadlineIn(clearMs, terminal.now));
  const { base, size } = await reader.head(within());
  // What is appended meanwhile is for whoever appends it.
  const end = base + size;
  let seen = await seenBy(index, terminal);
  while (seen < end) {
    await catchUp(log, within(), { most: roundEntries });
    seen = await seenBy(index, terminal);
    if (terminal.errIsTerminal) terminal.err(`${shown(origin)}: ${seen} of ${end} entries\n`);
  }
  terminal.out(`${shown(origin)}: ${seen} entries are in the index\n`);
}

const seenBy = (index: QueryIndex, { now }: Terminal): Promise<number> => index.seen(deadlineIn(roundMs, now));
