import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

const root = resolve(import.meta.dirname, '../..');
export const bundle = resolve(root, 'dist/hallpass.mjs');

/** Builds `dist/` unless it is up to date. */
export async function build(): Promise<void> {
  await promisify(execFile)(process.execPath, ['scripts/build.mjs', '--if-needed'], { cwd: root });
}

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly said: { out: string; err: string };
  /** Resolves once stdout has `text`; rejects when the process ends before. */
  until(text: string): Promise<void>;
  readonly ended: Promise<Ended>;
}

interface Options {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
}

/** The environment of a user who has set nothing. */
const bare = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' };

/** Starts the built command as a process of its own. */
export const start = (args: readonly string[], options: Options): Running => startFile([bundle, ...args], options);

/** The same for the server that is told by its environment. */
export const startNode = (options: Options): Running => startFile([resolve(root, 'dist/node.mjs')], options);

function startFile(args: readonly string[], { cwd, env = {}, input }: Options): Running {
  const child = spawn(process.execPath, args, { cwd, env: { ...bare, ...env } });
  const said = { out: '', err: '' };
  let check = () => {};
  child.stdout.setEncoding('utf8').on('data', (part) => {
    said.out += part;
    check();
  });
  child.stderr.setEncoding('utf8').on('data', (part) => {
    said.err += part;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  const ended = new Promise<Ended>((done) => child.once('close', (code) => done({ code, ...said })));
  const until = (text: string) =>
    new Promise<void>((done, fail) => {
      check = () => {
        if (said.out.includes(text)) done();
      };
      check();
      ended.then(({ code }) => fail(new Error(`ended with ${code} before it said ${text}\n${said.out}\n${said.err}`)));
    });
  return { child, said, until, ended };
}

export const run = (args: readonly string[], options: Options): Promise<Ended> => start(args, options).ended;
