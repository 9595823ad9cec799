import type { Command } from 'commander';
import { addCommand, type Shell } from './shell.ts';

/** `config check FILE` and `config schema`. */
export function addConfig(program: Command, shell: Shell): void {
  const group = addCommand(
    program,
    'config',
    'check and describe configs',
    'hallpass config check .hallpass/config.yaml',
  );
  addCommand(
    group,
    'check <file>',
    'check a config: every problem as file:line:column',
    'hallpass config check .hallpass/config.yaml',
  ).action(async (file: string) => {
    const { readConfigFile } = await import('./config-file.ts');
    const { formatProblem } = await import('../config/problem.ts');
    const { warnings } = await readConfigFile(file, shell.terminal);
    for (const warning of warnings) shell.terminal.err(`${formatProblem(warning)}\n`);
  });
  addCommand(
    group,
    'schema',
    'the JSON Schema of a config, for editors',
    'hallpass config schema > hallpass.schema.json',
  ).action(async () => {
    const { configJsonSchema } = await import('../config/schema.ts');
    shell.terminal.out(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  });
}
