import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { fromUtf8 } from '../../lib/bytes.ts';
import { exit, Failure, NotThere } from '../failure.ts';
import { checkCount } from '../option-values.ts';
import {
  connect,
  findServer,
  hinted,
  ProblemFailure,
  readPublic,
  type Server,
  type ServerOptions,
  unusable,
} from '../server.ts';
import { addCommand, type Shell } from '../shell.ts';
import { plainJson, shown, type Terminal } from '../terminal.ts';
import { addErase } from './erase.ts';
import { addGoingOn } from './going-on.ts';
import type { ReadPublished } from './tiles.ts';

interface LogOptions extends ServerOptions {
  readonly config?: string;
  readonly url?: string;
}

interface ShardOptions extends LogOptions {
  readonly shard?: string;
}

interface VerifyOptions extends LogOptions {
  readonly tiles?: string;
  readonly shards?: string;
  readonly key?: string;
  readonly since?: string;
  readonly resume?: string;
  readonly receipt?: string;
  readonly index?: boolean;
  readonly json?: boolean;
}

const config = '.hallpass/config.yaml';

/** `ledger verify|key|checkpoint`: the log itself, from a config beside a running server, or from a server. */
export function addLedger(program: Command, shell: Shell): void {
  const { terminal } = shell;
  const group = addCommand(program, 'ledger', 'the log itself', `hallpass ledger verify --config ${config}`);

  addCommand(
    group,
    'verify',
    'read the whole log again and check everything',
    `hallpass ledger verify --config ${config}`,
  )
    .option('--config <file>', 'the config whose ledger is read; a running server is not disturbed')
    .option(
      '--tiles <place>',
      'a published or archived log in a folder or s3://BUCKET/PREFIX (C2SP tlog-tiles); with --key',
    )
    .option('--url <url>', 'the log of a server; with --key, and a token with `audit: read`')
    .option('--key <key>', 'the verifier key as you know it: name+hash+base64')
    .option('--shards <n>', 'how many shards the ledger has, as you know it: a server could leave some out')
    .option('--since <file>', 'a checkpoint kept elsewhere, which the log must extend')
    .option(
      '--resume <file>',
      'go on from where the run that wrote this file stopped; what that one read is not read again',
    )
    .option('--index', 'compare what questions are answered from with the log too; with --config')
    .option('--receipt <file>', 'instead of a log, one receipt or answer that has one; with --key, and no server')
    .option('--token-file <file>', 'file with the workload token, for --url')
    .option('--json', 'the report as JSON')
    .action(async ({ shards, ...options }: VerifyOptions, self: Command) => {
      checkCount('shards', shards);
      const { describeReport, summarize, verify } = await import('./verify.ts');
      const { checkKey } = await import('./key.ts');
      if (options.key !== undefined) checkKey(options.key);
      if (options.receipt !== undefined) return verifyReceipt(options.receipt, self, shell);
      const since = options.since === undefined ? undefined : await readSince(options.since, terminal);
      const known = shards === undefined ? {} : { shards: Number(shards) };
      const readLog = publishedReader(options, terminal);
      const report = await verify({ ...options, ...known, readLog }, since, terminal);
      terminal.out(options.json === true ? `${plainJson(report, 2)}\n` : describeReport(report));
      terminal.err(summarize(report));
      if (report.findings.length > 0) shell.finish(exit.negative);
      else if (since !== undefined) terminal.err('the log extends the checkpoint given\n');
    });

  addCommand(
    group,
    'init',
    'make what the ledger needs, or bring it up to date; running it again is harmless',
    'hallpass ledger init --config hallpass.yaml',
  )
    .requiredOption('--config <file>', 'the config whose ledger is made')
    .action(async ({ config: file }: { readonly config: string }) => {
      const { initLedgerOf } = await import('./init.ts');
      await initLedgerOf(file, terminal);
    });

  addCommand(
    group,
    'index',
    'build what answers questions beside the log, or what of it is missing; beside a running server too',
    `hallpass ledger index --config ${config}`,
  )
    .requiredOption('--config <file>', 'the config whose ledger it is')
    .option('--rebuild', 'empty it first, and build it again from the log')
    .action(async ({ config: file, rebuild = false }: { readonly config: string; readonly rebuild?: boolean }) => {
      const { indexLedger } = await import('./index.ts');
      await indexLedger(file, rebuild, terminal);
    });

  addGoingOn(group, shell);
  addErase(group, shell);

  logOptions(
    addCommand(
      group,
      'key',
      'the verifier key that receipts are checked with',
      `hallpass ledger key --config ${config}`,
    ),
  )
    .option('--generation <number>', 'of the log of that generation, which one key signs under a name of its own')
    .option('--shard <number>', 'of that log of several (ledger.shards); the same key under its name')
    .action(async ({ generation, shard, ...options }: ShardOptions & { readonly generation?: string }) => {
      const { checkShard, keyOfLog, ledgerKey, shardIn } = await import('./key.ts');
      const { readConfigFile } = await import('../config-file.ts');
      const { config: file } = options;
      const named = { shard: shardIn(shard), generation };
      const read = file === undefined ? undefined : await readConfigFile(file, terminal);
      if (read !== undefined) checkShard(read, named.shard);
      const key =
        read === undefined
          ? await ask('key', '/v1/log/key', options, terminal)
          : `${await ledgerKey(read, terminal)}\n`;
      terminal.out(generation === undefined && shard === undefined ? key : keyOfLog(key, named));
    });

  logOptions(
    addCommand(
      group,
      'checkpoint',
      'the newest signed checkpoint, to be kept elsewhere',
      `hallpass ledger checkpoint --config ${config}`,
    ),
  )
    .option('--shard <number>', 'of that log of several (ledger.shards): each has its own')
    .action(async ({ shard: text, ...options }: ShardOptions) => {
      const { shardIn } = await import('./key.ts');
      const shard = shardIn(text);
      if (options.config === undefined) terminal.out(await askCheckpoint(shard, options, terminal));
      else {
        const { readCheckpoint } = await import('./inspect.ts');
        terminal.out(await readCheckpoint(options.config, shard, terminal));
      }
    });
}

/** One receipt, with nothing but the key. @throws Failure */
async function verifyReceipt(file: string, command: Command, { terminal, finish }: Shell): Promise<void> {
  const { key, json, ...others } = command.opts<VerifyOptions>();
  const other = Object.keys(others).find((name) => name !== 'receipt');
  if (other !== undefined) throw new Failure(exit.usage, '--receipt goes with --key and --json only');
  if (key === undefined)
    throw new Failure(exit.usage, 'with --receipt the ledger needs --key', 'as you know it, not as its server says');
  const { checkReceipt, describeReceipt, summarizeReceipt } = await import('./receipt.ts');
  const report = await checkReceipt(file, key, terminal);
  terminal.out(json === true ? `${plainJson(report, 2)}\n` : describeReceipt(report));
  terminal.err(summarizeReceipt(report));
  if (report.findings.length > 0) finish(exit.negative);
}

async function askCheckpoint(shard: number | undefined, options: LogOptions, terminal: Terminal): Promise<string> {
  try {
    const path = `/v1/log/${shard === undefined ? '' : `${shard}/`}checkpoint`;
    return await ask('checkpoint', path, options, terminal);
  } catch (error) {
    if (!(error instanceof ProblemFailure) || error.problem !== 'not_found') throw error;
    const hint =
      shard === undefined
        ? 'a ledger of several logs has one for each: --shard N, at /v1/log/{N}/checkpoint'
        : 'without --shard where the ledger is one log';
    throw new Failure(error.code, error.message, hint);
  }
}

function logOptions(command: Command): Command {
  return command
    .option('--config <file>', 'the config whose ledger is read; needs no server')
    .option('--url <url>', 'the server to ask (default: HALLPASS_URL, else a running `hallpass dev`)')
    .option('--token-file <file>', 'file with the workload token, where the server wants one')
    .option('--verbose', 'say on stderr which server and token source were taken');
}

/** How what is kept looks: a page to sign in at would be missed when it is needed. */
const looks = {
  key: /^(?:[^+\s]+\+[0-9a-f]{8}\+[\w+/=-]+\n)+$/,
  checkpoint: /^\S+\n[0-9]+\n[A-Za-z0-9+/]{43}=\n(?:.+\n)*\n\u2014 /,
} as const;

/** Asks without a token, and with one only where that is wanted. */
async function ask(what: keyof typeof looks, path: string, options: LogOptions, terminal: Terminal): Promise<string> {
  const { url } = await findServer(options.url, terminal);
  const text = (await readPublic(terminal, url, path)) ?? (await askAsReader(url, path, options, terminal));
  if (!looks[what].test(text)) throw unusable(url, `no ${what}`);
  return text;
}

async function askAsReader(url: string, path: string, options: LogOptions, terminal: Terminal): Promise<string> {
  const server = await connect({ ...options, server: url }, terminal);
  return fromUtf8(await server.bytes(path).catch(hinted('denied', whoReads)));
}

const whoReads = 'the log of a server that does not make it public is read with a role with audit: read';

/** Reads a published log from a folder, or from a server with one token for all of it. */
function publishedReader({ tiles, url, ...options }: VerifyOptions, terminal: Terminal): ReadPublished {
  if (tiles?.startsWith('s3:')) {
    const reading = import('./archive-place.ts').then(({ archivePlace, bucketReader }) => {
      const place = archivePlace(tiles, undefined, terminal);
      if ('folder' in place) throw new Error('a bucket is no folder');
      return bucketReader(place, terminal);
    });
    return async (path) => (await reading)(path);
  }
  if (tiles !== undefined) {
    const folder = resolve(terminal.folder, tiles);
    return (path) =>
      readFile(join(folder, path)).catch(({ code }: NodeJS.ErrnoException) => {
        if (code !== 'ENOENT' && code !== 'ENOTDIR')
          throw new Failure(exit.negative, `${shown(path)} in ${shown(tiles)} cannot be read (${code})`);
        const hint = 'a published log has checkpoint and tile/ in it, an archive ~1, ~2 and so on';
        throw new NotThere(`${shown(path)} is not there in ${shown(tiles)}`, hint);
      });
  }
  let server: Promise<Server> | undefined;
  return async (path) => {
    server ??= connect({ ...options, ...(url === undefined ? {} : { server: url }) }, terminal);
    return (await server)
      .bytes(`/v1/log/${path}`)
      .catch(hinted('denied', whoReads))
      .catch((error) => {
        throw error instanceof ProblemFailure && error.status === 404 ? new NotThere(error.message, error.hint) : error;
      });
  };
}

async function readSince(file: string, terminal: Terminal): Promise<string> {
  try {
    return await readFile(resolve(terminal.folder, file), 'utf8');
  } catch {
    throw new Failure(exit.usage, `--since ${shown(file)} cannot be read`);
  }
}
