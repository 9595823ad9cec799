import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type DevClaims, devSubject, readIssuer, signDevToken } from '../dev-folder.ts';
import { exit, Failure } from '../failure.ts';
import { addCommand, type Shell } from '../shell.ts';

interface DevTokenOptions {
  readonly subject: string;
  readonly claim?: Readonly<Record<string, string>>;
  readonly audience?: string;
  readonly dir: string;
}

const registered = new Set(['iss', 'sub', 'aud', 'iat', 'nbf', 'exp', 'jti']);

/** `dev token`: a token of the embedded issuer on stdout. */
export function addDevToken(dev: Command, shell: Shell): void {
  addCommand(
    dev,
    'token',
    'print a workload token of the embedded issuer (it lives 10 minutes)',
    'hallpass dev token --subject ci --claim ref=main',
  )
    .option('--subject <subject>', 'the `sub` claim', devSubject)
    .option('--claim <name=value>', 'a further claim, a string; may be given again', collectClaim)
    .option('--audience <audience>', 'the `aud` claim (default: the development server)')
    .option('--dir <folder>', 'the folder of `hallpass dev`', '.hallpass')
    .allowExcessArguments(false)
    .action(async ({ subject, claim = {}, audience, dir }: DevTokenOptions) => {
      const issuer = await readIssuer(resolve(shell.terminal.folder, dir));
      const claims: DevClaims = { subject, claims: claim, ...(audience === undefined ? {} : { audience }) };
      shell.terminal.out(`${signDevToken(issuer, claims, shell.terminal)}\n`);
    });
}

function collectClaim(text: string, earlier: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new Failure(exit.usage, `${JSON.stringify(text)} is no claim`, 'write it as name=value');
  const name = text.slice(0, at);
  if (registered.has(name))
    throw new Failure(
      exit.usage,
      `the claim ${name} is the issuer's own`,
      'for `sub` and `aud` there are --subject and --audience',
    );
  return { ...earlier, [name]: text.slice(at + 1) };
}
