import type { Command } from 'commander';
import type { GuideStep } from '../lib/guide.ts';
import { exit, Failure } from './failure.ts';
import type { FoundGuide, PlatformFacts } from './federation-guide.ts';
import { addCommand, type Shell } from './shell.ts';
import { shown, styles, table } from './terminal.ts';

interface ShowOptions {
  readonly config: string;
  readonly json?: true;
}

/** `federation show STORE`: what to set up on the other side, ready to be pasted. */
export function addFederation(program: Command, shell: Shell): void {
  const { terminal } = shell;
  const example = 'hallpass federation show aws-prod --config examples/cross-cloud/hallpass.yaml';
  const group = addCommand(program, 'federation', 'how clouds are told to trust Hallpass’s own assertions', example);
  addCommand(group, 'show <store>', 'print what to set up on the other side of a store, and for whom', example)
    .requiredOption('--config <file>', 'the config')
    .option('--json', 'facts and steps as JSON')
    .action(async (store: string, options: ShowOptions) => {
      const { readConfigFile } = await import('./config-file.ts');
      const { guideFor } = await import('./federation-guide.ts');
      const { config } = await readConfigFile(options.config, terminal);
      const found = guideFor(config, store);
      if (typeof found === 'string') throw new Failure(exit.negative, shown(found));
      const { facts, steps, signer } = found;
      if (options.json === true) {
        terminal.out(`${JSON.stringify({ ...facts, steps, signer }, null, 2)}\n`);
        return;
      }
      const { bold, dim } = styles(terminal);
      terminal.out('instead' in facts ? platformText(facts, bold) : trustText(facts, bold));
      const all = [...steps, ...signer];
      terminal.out(all.map((step, at) => stepText(step, `# ${at + 1}.`, bold, dim)).join('\n'));
    });
}

type Style = (text: string) => string;

function trustText(facts: Exclude<FoundGuide['facts'], PlatformFacts>, bold: Style): string {
  const { store, issuer, jwksUri, audience, subject, algorithm } = facts;
  const rows = [
    ['#   issuer', issuer],
    ['#   keys', jwksUri],
    ['#   audience', audience],
    ['#   subject', subject],
    ['#   algorithm', algorithm],
  ];
  return `${bold(`# ${store} trusts Hallpass by these`)}\n${table(rows)}\n`;
}

const platformText = ({ store, instead }: PlatformFacts, bold: Style): string =>
  `${bold(`# ${store} is opened by the platform’s own identity, which needs these rights`)}\n` +
  `#   to log in by an assertion of Hallpass’s own instead: ${instead}\n\n`;

/** A step as a shell takes it: the words are comments, and a document is written to its file by the shell itself. */
function stepText({ about, shell, file }: GuideStep, mark: string, bold: Style, dim: Style): string {
  const lines = [`${bold(`${mark} ${about}`)}\n`];
  if (file !== undefined) lines.push(`cat > ${file.name} <<'END'\n${dim(JSON.stringify(file.json, null, 2))}\nEND\n`);
  if (shell !== undefined) lines.push(`${shell.trimEnd()}\n`);
  return lines.join('');
}
