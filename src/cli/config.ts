import type { Command } from 'commander';
import type { Runtime } from '../lib/platform.ts';
import { exit, Failure } from './failure.ts';
import { addCommand, type Shell } from './shell.ts';
import { shown, table } from './terminal.ts';

const runtimes: readonly Runtime[] = ['node', 'lambda', 'workerd'];

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
    'hallpass config check .hallpass/config.yaml --runtime node',
  )
    .option('--runtime <runtime>', 'where it is to run: node, lambda or workerd (Cloudflare Workers)', 'node')
    .option('--json', 'the warnings and the long-lived secrets as JSON')
    .action(async (file: string, options: { readonly runtime: string; readonly json?: true }) => {
      const runtime = runtimes.find((name) => name === options.runtime);
      if (runtime === undefined)
        throw new Failure(
          exit.usage,
          `unknown runtime ${JSON.stringify(shown(options.runtime))}`,
          'node, lambda or workerd',
        );
      const { readConfigFile } = await import('./config-file.ts');
      const { formatProblem } = await import('../config/text/problem.ts');
      const { longLivedSecrets } = await import('../config/checks/long-lived.ts');
      const { terminal } = shell;
      const { config, warnings } = await readConfigFile(file, terminal, runtime);
      const held = longLivedSecrets(config);
      for (const warning of warnings) terminal.err(`${formatProblem(warning)}\n`);
      if (options.json === true) {
        terminal.out(`${JSON.stringify({ warnings: warnings.map(formatProblem), longLivedSecrets: held }, null, 2)}\n`);
        return;
      }
      const many = warnings.length === 1 ? '1 warning' : `${warnings.length} warnings`;
      terminal.err(`${shown(file)} is valid${warnings.length === 0 ? '' : `, with ${many}`}\n`);
      terminal.out(`long-lived secrets that this deployment holds or uses itself: ${held.length}\n`);
      terminal.out(table(held.map(({ member, what }) => [`  ${member}`, shown(what)])));
    });
  addCommand(
    group,
    'schema',
    'the JSON Schema of a config, for editors',
    'hallpass config schema > hallpass.schema.json',
  ).action(async () => {
    const { configJsonSchema } = await import('../config/sections/schema.ts');
    shell.terminal.out(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  });
}
