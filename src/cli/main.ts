import { randomBytes } from 'node:crypto';
import { exit, Failure } from './failure.ts';
import { runCommand } from './program.ts';
import type { Terminal } from './terminal.ts';

const terminal: Terminal = {
  env: process.env,
  folder: process.cwd(),
  outIsTerminal: process.stdout.isTTY === true,
  errIsTerminal: process.stderr.isTTY === true,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  input: readInput,
  fetch: (url, init) => fetch(url, init),
  now: Date.now,
  random: (bytes) => randomBytes(bytes),
  stopped,
};

// A reader that went away (`| head`) is no error of ours.
process.stdout.on('error', () => process.exit(exit.done));
process.exitCode = await runCommand(process.argv.slice(2), terminal);

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

function stopped(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => {
        if (asked) process.exit(130);
        asked = true;
        resolve();
      });
  });
}
