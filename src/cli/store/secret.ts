import type { Command } from 'commander';
import { deadlineIn } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import { exit, Failure } from '../failure.ts';
import { addCommand, type Shell } from '../shell.ts';
import { plainJson, shown, type Terminal } from '../terminal.ts';

interface SecretOptions {
  readonly config: string;
  readonly json?: boolean;
}

const storeMs = 15_000;
const maxValueBytes = 64 * 1024;
const put = 'printf %s not-a-real-secret | hallpass secret put local demo --config .hallpass/config.yaml';
const list = 'hallpass secret list local --config .hallpass/config.yaml';
const rm = 'hallpass secret rm local demo --config .hallpass/config.yaml';

/** `secret put|list|rm`: the stored values themselves; needs no server, and no ledger but to log in where that takes one. */
export function addSecret(program: Command, shell: Shell): void {
  const { terminal } = shell;
  const group = addCommand(program, 'secret', 'the values in a store of the config', list);

  addCommand(group, 'put <store> <name>', 'store the bytes of stdin as a new version', put)
    .requiredOption('--config <file>', 'the config')
    .action(async (store: string, name: string, options: SecretOptions) => {
      const { asked, withStoreOf } = await import('./open-store.ts');
      await withStoreOf(options.config, store, terminal, async (opened) => {
        const value = await terminal.input(maxValueBytes);
        if (value.length === 0)
          throw new Failure(exit.negative, 'stdin is empty', 'the value is the bytes of stdin, never an argument');
        const put = opened.store.put(name, new Secret(value), until(terminal));
        const { version } = await asked(terminal, store, name, put);
        terminal.err(`${shown(`${store}/${name}`)}: version ${shown(version)}\n`);
        await opened.wrote(version);
      });
    });

  addCommand(group, 'list <store>', 'the names in a store, never the values', list)
    .requiredOption('--config <file>', 'the config')
    .option('--json', 'the names as a JSON array')
    .action(async (store: string, options: SecretOptions) => {
      const { asked, withStoreOf } = await import('./open-store.ts');
      await withStoreOf(options.config, store, terminal, async (opened) => {
        const names = await asked(terminal, store, undefined, opened.store.list(until(terminal)));
        const lines = names.map((name) => `${shown(name)}\n`).join('');
        terminal.out(options.json === true ? `${plainJson(names)}\n` : lines);
      });
    });

  addCommand(group, 'rm <store> <name>', 'remove a secret with all its versions', rm)
    .requiredOption('--config <file>', 'the config')
    .action(async (store: string, name: string, options: SecretOptions) => {
      const { asked, withStoreOf } = await import('./open-store.ts');
      await withStoreOf(options.config, store, terminal, async (opened) => {
        await asked(terminal, store, name, opened.store.remove(name, until(terminal)));
        terminal.err(`${shown(`${store}/${name}`)}: removed\n`);
      });
    });
}

const until = (terminal: Terminal) => deadlineIn(storeMs, terminal.now);
