import { type Command, Option } from 'commander';
import type { Runtime } from '../lib/platform.ts';
import { addCommand, type Shell } from './shell.ts';

interface RotateOptions {
  readonly config: string;
  readonly runtime: Runtime;
  readonly json?: boolean;
}

const example = 'hallpass keys rotate --config hallpass.yaml';

const conditions = `
The config must have ledger.seed (not beside a ledger elsewhere) and
broker.secret: what comes from the signer's key without them would change with
it. Refused while the last rotation is younger than an hour, or longer where
broker.announce is.`;

/** `keys rotate`: the next key that this deployment proves itself with, beside a running server. */
export function addKeys(program: Command, shell: Shell): void {
  const { terminal } = shell;
  const group = addCommand(program, 'keys', 'the keys that Hallpass proves itself with', example);

  addCommand(group, 'rotate', 'make the next key; servers that run announce it, then sign with it', example)
    .requiredOption('--config <file>', 'the config')
    .addOption(
      new Option('--runtime <runtime>', 'the runtime the config is for')
        .choices(['node', 'lambda', 'workerd'])
        .default('node'),
    )
    .option('--json', 'what was made, as JSON')
    .addHelpText('after', conditions)
    .action(async ({ config, runtime, json }: RotateOptions) => {
      const [{ readConfigFile }, { describeRotation, rotateKeys }] = await Promise.all([
        import('./config-file.ts'),
        import('./keys-rotate.ts'),
      ]);
      const file = await readConfigFile(config, terminal, runtime);
      const made = await rotateKeys(file, runtime, terminal);
      terminal.out(json === true ? `${JSON.stringify({ rotated: made }, null, 2)}\n` : describeRotation(made));
    });
}
