import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { ConfigError, formatProblem } from '../config/text/problem.ts';
import { readText } from '../config/text/source.ts';
import type { Runtime } from '../lib/platform.ts';
import { exit, Failure } from './failure.ts';
import type { Terminal } from './terminal.ts';

/** A config file, checked, and the folder its relative paths count from. */
export interface ConfigFile extends LoadedConfig {
  readonly folder: string;
}

/** Reads and checks a config, for Node unless told otherwise; every problem is one line on stderr. @throws Failure */
export async function readConfigFile(file: string, terminal: Terminal, runtime: Runtime = 'node'): Promise<ConfigFile> {
  const path = resolve(terminal.folder, file);
  const folder = dirname(path);
  const text = readText(await readBytes(path, file));
  try {
    if (typeof text !== 'string') throw new ConfigError([{ file, ...text }]);
    // A Worker has no file system that a path could be in.
    const where = runtime === 'workerd' ? {} : { folder };
    return { ...(await loadConfig(text, { file, runtime, env: terminal.env, ...where })), folder };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) terminal.err(`${formatProblem(problem)}\n`);
    throw new Failure(exit.negative, '');
  }
}

async function readBytes(path: string, file: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException;
    throw new Failure(exit.usage, `${file} cannot be read${whys[code] === undefined ? '' : `: ${whys[code]}`}`);
  }
}

const whys: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'it is not allowed to this user',
};
