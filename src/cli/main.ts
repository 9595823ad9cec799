import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { takeWarnings } from '../lib/node-warnings.ts';
import { toStream } from '../lib/operator-log.ts';
import { exit, Failure } from './failure.ts';
import { hearSignals, startChild } from './processes.ts';
import { runCommand } from './program.ts';
import type { Terminal } from './terminal.ts';

const terminal: Terminal = {
  env: process.env,
  folder: process.cwd(),
  outIsTerminal: process.stdout.isTTY === true,
  outColumns: process.stdout.columns,
  errIsTerminal: process.stderr.isTTY === true,
  inIsTerminal: process.stdin.isTTY === true,
  out: (text) => void process.stdout.write(text),
  outTaken,
  err: toStream(process.stderr, Date.now),
  input: readInput,
  fetch: (url, init) => fetch(url, init),
  now: Date.now,
  random: (bytes) => randomBytes(bytes),
  withoutReader: (it) => {
    withoutReader = it;
  },
  stopped,
  end: () => process.exit(),
  hearSignals,
  start: startChild,
};

let withoutReader: 'works' | 'ends' | 'serves' = 'works';
/** A reader that went away (`| head`) is no error of ours; a full disk is. */
let unwritten = false;
process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
  if (withoutReader === 'serves') return;
  if (code !== 'EPIPE') {
    if (!unwritten) terminal.err(`hallpass: stdout cannot be written (${code})\n`);
    unwritten = true;
    process.exitCode ||= exit.negative;
  }
  if (withoutReader === 'ends') process.exit();
});
// A log that nobody reads any more ends no server in the middle of its requests.
process.stderr.on('error', () => {});
// A server puts them into its log; of all other commands they are no part of the answer.
takeWarnings(() => {});
void runCommand(process.argv.slice(2), terminal).then((code) => {
  process.exitCode = code || (unwritten ? exit.negative : exit.done);
});

/** Of stdout, bytes: enough for whoever pages through it, and not all that there is. */
async function outTaken(): Promise<void> {
  const { stdout } = process;
  if (stdout.writableLength > 64 * 1024 * 1024) await once(stdout, 'drain').catch(() => {});
}

async function readInput(maxBytes: number): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of process.stdin) {
    size += part.length;
    if (size > maxBytes) throw new Failure(exit.negative, `more than ${maxBytes} bytes on stdin`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

// Ctrl-C reaches a command under npm twice, from the terminal and from npm; a person's second one comes later.
function stopped(): Promise<void> {
  const sameMs = 1000;
  return new Promise((resolve) => {
    let asked: number | undefined;
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => {
        if (asked !== undefined && Date.now() - asked > sameMs) process.exit(130);
        asked ??= Date.now();
        resolve();
      });
  });
}
