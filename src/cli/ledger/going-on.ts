import type { Command } from 'commander';
import type { ConfigFile } from '../config-file.ts';
import { exit, Failure } from '../failure.ts';
import type { ServerOptions } from '../server.ts';
import { addCommand, type Shell, serverOptions } from '../shell.ts';
import type { Terminal } from '../terminal.ts';

interface RollOptions extends ServerOptions {
  readonly config?: string;
  readonly archive?: string | true;
  readonly json?: boolean;
}

interface ArchiveOptions {
  readonly config: string;
  readonly to?: string;
  readonly json?: boolean;
}

interface RestoreOptions {
  readonly config: string;
  readonly from?: string;
  readonly records: readonly string[];
  readonly tiles: readonly string[];
  readonly checkpoint: readonly string[];
  readonly nothingKnown?: boolean;
  readonly tokenLife: string;
  readonly json?: boolean;
}

interface PromoteOptions {
  readonly config: string;
  readonly checkpoint: readonly string[];
  readonly fenced?: boolean;
  readonly tokenLife: string;
  readonly json?: boolean;
}

interface ForgetOptions {
  readonly config: string;
  /** The standby's name. */
  readonly gone: string;
  readonly json?: boolean;
}

/** `ledger roll|archive|restore|promote|forget-standby`: how a ledger goes on. */
export function addGoingOn(group: Command, shell: Shell): void {
  const { terminal } = shell;
  serverOptions(
    addCommand(
      group,
      'roll',
      'close the log and begin its successor (by a server, needs a role with ledger: roll)',
      'hallpass ledger roll --config hallpass.yaml',
    ),
  )
    .option('--config <file>', 'the config whose ledger is rolled, beside its server; needs no token')
    .option(
      '--archive [place]',
      'then write every closed log there as C2SP tlog-tiles: a folder or s3://BUCKET/PREFIX (default: ledger.archive); with --config',
    )
    .option('--json', 'the answer as JSON')
    .action(async ({ config, archive, json, ...options }: RollOptions) => {
      const { archiveOwnLog, countArchived, describeRolled, rollByServer, rollOwnLog } = await import('./roll.ts');
      const { readConfigFile } = await import('../config-file.ts');
      if (config === undefined && archive !== undefined)
        throw new Failure(
          exit.usage,
          '--archive goes with --config',
          'where the ledger is: hallpass ledger roll --config FILE --archive FOLDER',
        );
      const own = config === undefined ? undefined : await readConfigFile(config, terminal);
      // A place that cannot be is told before anything is closed.
      const place = archive === undefined ? undefined : await placeOrUsage('--archive', archive, own, terminal);
      const rolled = own === undefined ? await rollByServer(options, terminal) : await rollOwnLog(own, terminal);
      terminal.out(json === true ? `${JSON.stringify({ logs: rolled }, null, 2)}\n` : describeRolled(rolled));
      if (own === undefined || place === undefined) return;
      terminal.err(countArchived(await archiveOwnLog(own, place, terminal)));
    });

  addCommand(
    group,
    'archive',
    'write every closed log to the archive that is not there yet; closes none',
    'hallpass ledger archive --config hallpass.yaml',
  )
    .requiredOption('--config <file>', 'the config whose ledger it is; its server may run')
    .option('--to <place>', 'a folder or s3://BUCKET/PREFIX (default: ledger.archive)')
    .option('--json', 'the logs written, as JSON')
    .action(async ({ config, to, json }: ArchiveOptions) => {
      const { archiveOwnLog, countArchived } = await import('./roll.ts');
      const { readConfigFile } = await import('../config-file.ts');
      const own = await readConfigFile(config, terminal);
      const place = await placeOrUsage('--to', to ?? true, own, terminal);
      const logs = await archiveOwnLog(own, place, terminal);
      const lines = logs.map(({ log, size }) => `${log} ${size}\n`).join('');
      terminal.out(json === true ? `${JSON.stringify({ logs }, null, 2)}\n` : lines);
      terminal.err(countArchived(logs));
    });

  addCommand(
    group,
    'restore',
    'put a ledger back from a backup and copies of its entries, and begin its next log',
    'hallpass ledger restore --config hallpass.yaml --from backup.db --records sink.ndjson --checkpoint newest.txt',
  )
    .requiredOption('--config <file>', 'the config whose ledger is put back; its server must not run')
    .option('--from <file>', 'a backup of an sqlite ledger, copied to where the config has it')
    .option('--records <file>', 'native NDJSON of a sink, oldest first; may be given again', collect, [])
    .option('--tiles <folder>', 'a published or archived log, or a whole archive; may be given again', collect, [])
    .option('--checkpoint <file>', 'a checkpoint kept elsewhere, the newest there is; may be given again', collect, [])
    .option(
      '--token-life <duration>',
      'how long a workload token lives at most: after a gap, one-time tokens wait',
      '25h',
    )
    .option('--nothing-known', 'no checkpoint is kept, and no broker saw a later log than the copies have')
    .option('--json', 'the report as JSON')
    .action(async ({ checkpoint, json, ...given }: RestoreOptions) => {
      const { describeRestored, restoreOwnLog } = await import('./restore.ts');
      const restored = await restoreOwnLog({ ...given, checkpoints: checkpoint }, terminal);
      const { logs, ...waiting } = restored;
      const report = logs.length === 1 ? { ...logs[0], ...waiting } : restored;
      terminal.out(json === true ? `${JSON.stringify(report, null, 2)}\n` : describeRestored(restored));
    });

  addCommand(
    group,
    'promote',
    'let a standby take over: end the log it follows where it is, and begin the next',
    'hallpass ledger promote --config standby.yaml',
  )
    .requiredOption('--config <file>', 'the config of the standby; its server may run')
    .option('--checkpoint <file>', 'a checkpoint of the other ledger kept elsewhere; may be given again', collect, [])
    .option('--fenced', 'the other ledger is known to take no more appends: one-time tokens are taken at once')
    .option('--token-life <duration>', 'how long a workload token lives at most', '25h')
    .option('--json', 'the report as JSON')
    .action(async ({ checkpoint, json, ...given }: PromoteOptions) => {
      const { describePromoted, promoteOwnLog } = await import('./promote.ts');
      const promoted = await promoteOwnLog({ ...given, checkpoints: checkpoint }, terminal);
      terminal.out(json === true ? `${JSON.stringify(promoted, null, 2)}\n` : describePromoted(promoted));
    });

  addForgetStandby(group, shell);
}

function addForgetStandby(group: Command, { terminal }: Shell): void {
  addCommand(
    group,
    'forget-standby',
    'forget a standby that is gone for good; then take ledger.confirm out of the config and restart the first: with it still there, nothing is answered until a standby confirms again',
    'hallpass ledger forget-standby --config hallpass.yaml --gone frankfurt',
  )
    .requiredOption('--config <file>', 'the config of the first, not of the standby; its server may run')
    .requiredOption(
      '--gone <standby>',
      'this one is stopped for good, or its database is gone, and it did not take over',
    )
    .option('--json', 'what was promised, as JSON; what is left to do goes to stderr')
    .action(async ({ config, gone, json }: ForgetOptions) => {
      const { describeForgotten, forgetOwnStandby, whatIsLeft } = await import('./forget-standby.ts');
      const forgotten = await forgetOwnStandby(config, gone, terminal);
      const text = JSON.stringify({ forgotten: forgotten.pledge ?? null }, null, 2);
      terminal.out(json === true ? `${text}\n` : describeForgotten(forgotten));
      const left = whatIsLeft(forgotten);
      if (json === true) terminal.err(left);
      else terminal.out(left);
    });
}

/** Where an option says, or `ledger.archive` where it says nothing. @throws Failure */
async function placeOrUsage(option: string, said: string | true, own: ConfigFile | undefined, terminal: Terminal) {
  const { archivePlace, placeOfConfig } = await import('./archive-place.ts');
  const place = said === true ? own && (await placeOfConfig(own)) : archivePlace(said, own, terminal);
  if (place !== undefined) return place;
  const hint = `${option} FOLDER, ${option} s3://BUCKET/PREFIX, or ledger.archive in the config`;
  throw new Failure(exit.usage, 'no place is named for the archive', hint);
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
