import type { Command } from 'commander';
import { addCommand, type Shell } from '../shell.ts';

interface CheckOptions {
  readonly config: string;
  readonly secret?: string;
  readonly json?: true;
}

/** `store check NAME`: tries every step of reading a store, and says which one fails and why. */
export function addStore(program: Command, shell: Shell): void {
  const example = 'hallpass store check local --config .hallpass/config.yaml';
  const group = addCommand(program, 'store', 'the stores of a config', example);
  addCommand(group, 'check <store>', 'log in to a store and read it, step by step', example)
    .requiredOption('--config <file>', 'the config')
    .option('--secret <name>', 'read this secret instead of listing the names; its value is not shown')
    .option('--json', 'the steps as JSON')
    .action(async (store: string, options: CheckOptions) => {
      const { checkStore } = await import('./check.ts');
      shell.finish(await checkStore(store, options, shell.terminal));
    });
}
