import { type Command, CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram, runCommand } from '../../src/cli/program.ts';
import { version } from '../../src/lib/version.ts';
import { fakeTerminal } from './fake-terminal.ts';

async function run(args: readonly string[], parts = {}) {
  const terminal = fakeTerminal(parts);
  const code = await runCommand(args, terminal);
  return { code, ...terminal.said };
}

function everyCommand(command: Command, path: readonly string[] = []): string[][] {
  const below = command.commands.flatMap((inner) => everyCommand(inner, [...path, inner.name()]));
  return path.length === 0 ? below : [[...path], ...below];
}

const commands = everyCommand(buildProgram({ terminal: fakeTerminal(), finish: () => {} }));

describe('help', () => {
  it('knows the commands there are', () => {
    const leaves = commands.map((path) => path.join(' '));
    for (const command of [
      'dev',
      'dev token',
      'serve',
      'config check',
      'config schema',
      'secret put',
      'secret list',
      'secret rm',
      'get',
      'run',
      'explain',
      'issuances list',
      'issuances show',
      'ledger verify',
      'ledger key',
      'ledger checkpoint',
      'lease revoke',
      'lease list',
      'lease sweep',
      'store check',
      'federation show',
    ])
      expect(leaves).toContain(command);
  });

  it.each(commands.map((path) => [path.join(' '), path]))(
    '%s --help goes to stdout, exits 0 and has one example that parses',
    async (name, path) => {
      const { code, out, err } = await run([...path, '--help']);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).not.toContain('(default: {})');
      const examples = [...out.matchAll(/^ {2}\$ (.+)$/gm)].map((match) => match[1] as string);
      expect(examples).toHaveLength(1);
      const example = (examples[0] as string)
        .replace(/"\$\(.*\)"/, 'X')
        .replace(/^.*\| /, '')
        .replace(/ > .*$/, '');
      expect(example.startsWith(`hallpass ${name}`)).toBe(true);
      expect(parses(example)).toBe(true);
      const wide = out.split('\n').filter((line) => line.length > 80 && !line.startsWith('  $ '));
      expect(wide).toEqual([]);
    },
  );
});

/** Whether the command line is accepted, without running it. */
function parses(line: string): boolean {
  const program = buildProgram({ terminal: fakeTerminal(), finish: () => {} });
  const disarm = (command: Command): void => {
    command.hook('preAction', () => {
      throw new CommanderError(0, 'parsed', '');
    });
  };
  disarm(program);
  try {
    program.parse(line.replaceAll('"', '').split(' ').slice(1), { from: 'user' });
  } catch (error) {
    return error instanceof CommanderError && error.exitCode === 0;
  }
  return false;
}

describe('wrong usage', () => {
  it.each([
    ['an unknown command', ['issuanses', 'list'], 'issuances'],
    ['an unknown subcommand', ['ledger', 'verfy'], 'verify'],
    ['an unknown command beside `dev token`', ['dev', 'tokn'], 'token'],
    ['an unknown command with --help', ['issuanses', '--help'], 'issuances'],
    ['an unknown subcommand with -h', ['ledger', 'verfy', '-h'], 'verify'],
    ['an unknown option', ['get', 'x', '--fromat', 'env'], '--format'],
  ])('%s exits 2 with a suggestion on stderr', async (_, args, suggestion) => {
    const { code, out, err } = await run(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^hallpass: /);
    expect(err).toContain(suggestion);
  });

  it.each([
    ['no command', []],
    ['a group without a command', ['ledger']],
    ['a missing argument', ['get']],
    ['one argument too many', ['get', 'a', 'b']],
    ['a name that is empty', ['get', '']],
    ['a lease that is empty', ['lease', 'revoke', '']],
    ['a secret that is empty', ['secret', 'rm', 'local', '', '--config', 'x']],
    ['a missing required option', ['serve']],
    ['a log that is not named', ['ledger', 'verify']],
    [
      'a log that is named twice',
      ['ledger', 'verify', '--tiles', 'x', '--url', 'https://pass.example.com', '--key', 'k'],
    ],
    ['a published log without its key', ['ledger', 'verify', '--tiles', 'x']],
    ['an option without its value', ['get', 'x', '--ttl']],
    ['a port that is none', ['serve', '--config', 'x', '--port', '70000']],
    ['an unknown format', ['get', 'x', '--format', 'xml']],
    ['a claim without a value', ['dev', 'token', '--claim', 'admin']],
    ["a claim that is the issuer's own", ['dev', 'token', '--claim', 'iss=https://evil.example']],
    ['an argument that `dev token` does not take', ['dev', 'token', 'admin']],
    ['--config where a server is asked', ['get', 'x', '--config', 'hallpass.yaml']],
    ['a server over http', ['get', 'x', '--server', 'http://pass.example.com']],
    ['a server with a password', ['get', 'x', '--server', 'https://u:p@pass.example.com']],
  ])('%s exits 2 and says so on stderr', async (_, args) => {
    const { code, out, err } = await run(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).not.toBe('');
  });

  it.each(['key', 'checkpoint'])('ledger %s says that a server is named without the path of its log', async (what) => {
    for (const path of ['/v1/log', '/v1/log/', '/v1/log/checkpoint']) {
      const { code, err } = await run(['ledger', what, '--url', `http://127.0.0.1:1${path}`]);
      expect([code, err]).toEqual([2, expect.stringContaining('a server is named without /v1/log')]);
    }
  });

  it('federation show says that a credential is none of its stores, and which they are', async () => {
    const shown = (name: string) =>
      run(['federation', 'show', name, '--config', 'examples/cross-cloud/hallpass.yaml'], { folder: process.cwd() });
    const { code, err } = await shown('mail');
    expect([code, err]).toEqual([
      1,
      'hallpass: "mail" is a credential, and this is shown for a store; its store is hub\n',
    ]);
    expect((await shown('hubb')).err).toContain('did you mean hub?');
  });

  it('says where more is said', async () => {
    for (const args of [['get'], ['serve'], ['get', 'x', '--fromat', 'env'], ['ledger', 'verfy']])
      expect((await run(args)).err).toMatch(/^hallpass: .+\n(.*\n)*.*--help says what it takes\n$/);
  });

  it('the password of a server is not repeated', async () => {
    const { err } = await run(['get', 'x', '--server', 'https://user:fake-password@pass.example.com']);
    expect(err).toContain('pass.example.com');
    expect(err).not.toContain('fake-password');
  });

  it('--version prints the version', async () => {
    expect(await run(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });
});
