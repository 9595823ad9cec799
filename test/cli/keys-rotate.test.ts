import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../src/cli/program.ts';
import { temporaryFolder, writeConfig } from '../support/server.ts';
import { fakeTerminal } from './fake-terminal.ts';

const folders: (() => void)[] = [];
afterAll(() => {
  for (const remove of folders) remove();
});

const ref = (name: string) => ({ store: 'vars', name });
const env = { KEY_SEED: randomBytes(32).toString('hex'), KEY_SECRET: randomBytes(32).toString('hex') };

const tenant = '11111111-1111-1111-1111-111111111111';
const asPem = {
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
} as const;

/** Runs `keys rotate` on a config whose broker and ledger have these members more. */
function house(broker: Record<string, unknown>, ledger: Record<string, unknown> = { seed: ref('SEED') }, stores = {}) {
  const { folder, remove } = temporaryFolder();
  folders.push(remove);
  const file = writeConfig(folder, {
    broker: { url: 'https://pass.test', signer: { kind: 'local', path: 'keys' }, ...broker },
    ledger: { kind: 'sqlite', path: 'ledger.db', ...ledger },
    stores: { vars: { kind: 'env', prefix: 'KEY_' }, ...stores },
  });
  const rotate = async (option?: '--json', more = {}) => {
    const terminal = fakeTerminal({ folder, env: { ...env, ...more } });
    const code = await runCommand(['keys', 'rotate', '--config', file, ...(option ? [option] : [])], terminal);
    return { code, ...terminal.said };
  };
  return { folder, rotate };
}

describe('hallpass keys rotate', () => {
  it('writes the next key beside the old one and says when it signs and when the old one goes', async () => {
    const { folder, rotate } = house({ secret: ref('SECRET') });
    const { code, out, err } = await rotate('--json');
    expect([code, err]).toEqual([0, '']);
    const [made, ...none] = JSON.parse(out).rotated;
    expect(none).toEqual([]);
    expect(made).toMatchObject({ signer: 'local', alg: 'ES256' });
    expect(Date.parse(made.oldEndsAt) - Date.parse(made.signsAt)).toBe(360_000);
    expect(readdirSync(join(folder, 'keys')).sort()).toEqual(['es256-2.pem', 'es256.pem']);
  });

  it('refuses a second rotation while the first is under way', async () => {
    const { folder, rotate } = house({ secret: ref('SECRET') });
    expect((await rotate()).out).toMatch(/^local: made ES256 [\w-]{43}\nservers that run announce it/);
    const again = await rotate();
    expect(again.code).toBe(1);
    expect(again.err).toContain('a rotation is under way');
    expect(readdirSync(join(folder, 'keys'))).toHaveLength(2);
  });

  it('refuses while the log or secrets still hang on the key', async () => {
    const noSeed = await house({ secret: ref('SECRET') }, {}).rotate();
    expect([noSeed.code, noSeed.err]).toEqual([1, expect.stringContaining('ledger.seed is required before')]);
    const noSecret = await house({}).rotate();
    expect([noSecret.code, noSecret.err]).toEqual([1, expect.stringContaining('broker.secret is required before')]);
    const neither = house({}, {});
    const { code, err } = await neither.rotate();
    expect([code, err]).toEqual([1, expect.stringContaining('ledger.seed and broker.secret are required before')]);
    expect(readdirSync(neither.folder)).toEqual(['hallpass.json']);
  });

  it.each([
    ['is not 32 bytes', { KEY_SEED: 'too-short' }, 'ledger.seed is not 32 bytes'],
    ['is not there', { KEY_SEED: undefined }, 'the store vars has no secret SEED'],
  ])('makes nothing beside a seed that %s, with which no server starts', async (_, more, message) => {
    const { folder, rotate } = house({ secret: ref('SECRET') });
    const { code, err } = await rotate(undefined, more);
    expect([code, err]).toEqual([1, expect.stringContaining(message)]);
    expect(readdirSync(folder)).toEqual(['hallpass.json']);
  });

  it('needs no seed that only the platform of another runtime has', async () => {
    const signer = { kind: 'aws-kms', key: 'alias/hallpass', region: 'eu-west-1' };
    const ledger = { kind: 'durable-object', path: undefined, seed: ref('SEED') };
    const { folder } = house({ secret: ref('SECRET'), signer }, ledger);
    const terminal = fakeTerminal({ folder, env: {} });
    const file = join(folder, 'hallpass.json');
    expect(await runCommand(['keys', 'rotate', '--runtime', 'workerd', '--config', file], terminal)).toBe(1);
    expect(terminal.said.err).toContain('no signer of this config makes its next key itself');
  });

  it('says what was made already when a later signer fails', async () => {
    const signer = ['first', 'second'].map((path) => ({ kind: 'local', path }));
    const { folder, rotate } = house({ secret: ref('SECRET'), signer });
    expect((await rotate()).code).toBe(0);
    // The first folder is long past that rotation, the second is not.
    const past = new Date(Date.now() - 2 * 60 * 60_000);
    for (const file of readdirSync(join(folder, 'first'))) utimesSync(join(folder, 'first', file), past, past);
    const { code, out, err } = await rotate('--json');
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(
      /^local: made ES256 [\w-]{43}\nservers that run announce it all the same[^\n]*\nhallpass: a rotation is under way/,
    );
    expect(readdirSync(join(folder, 'first')).sort()).toEqual(['es256-2.pem', 'es256-3.pem']);
  });

  it('says what to do where the operator must make the key', async () => {
    const { code, err } = await house({ secret: ref('SECRET'), signer: { kind: 'local', key: ref('SEED') } }).rotate();
    expect(code).toBe(1);
    expect(err).toContain('put it first in the list');
  });

  it('makes no RSA key where another signer has the one that a store needs', async () => {
    const rsa = { KEY_RSA: generateKeyPairSync('rsa', { modulusLength: 2048, ...asPem }).privateKey };
    const hub = { kind: 'azure-key-vault', vault: 'https://hub.vault.azure.net', tenant, client: tenant };
    const folder = { kind: 'local', path: 'keys' };
    const both = house({ secret: ref('SECRET'), signer: [folder, { kind: 'local', key: ref('RSA') }] }, undefined, {
      hub,
    });
    expect((await both.rotate('--json', rsa)).code).toBe(0);
    expect(readdirSync(join(both.folder, 'keys')).sort()).toEqual(['es256-2.pem', 'es256.pem']);
    const alone = house({ secret: ref('SECRET') }, undefined, { hub });
    expect((await alone.rotate()).out.match(/made (ES256|RS256)/g)).toEqual(['made ES256', 'made RS256']);
  });

  it('needs a config', async () => {
    const { folder } = house({});
    expect(await runCommand(['keys', 'rotate'], fakeTerminal({ folder }))).toBe(2);
  });

  it('leaves what comes from the old key as it is, once its value is ledger.seed', async () => {
    const { folder } = house({}, {});
    const key = async (file: string, more = {}) => {
      const terminal = fakeTerminal({ folder, env: { ...env, ...more } });
      expect(await runCommand(['ledger', 'key', '--config', file], terminal)).toBe(0);
      return terminal.said.out;
    };
    const before = await key(join(folder, 'hallpass.json'));
    const pem = createPrivateKey(readFileSync(join(folder, 'keys', 'es256.pem')));
    const { d } = pem.export({ format: 'jwk' });
    const seeded = house({ secret: ref('SEED') });
    expect(await key(join(seeded.folder, 'hallpass.json'), { KEY_SEED: d })).toBe(before);
  });

  it('needs no KMS to tell the verifier key', async () => {
    const signer = { kind: 'aws-kms', key: 'alias/hallpass', region: 'eu-west-1' };
    const { folder } = house({ signer, secret: ref('SECRET') });
    const terminal = fakeTerminal({ folder, env });
    expect(await runCommand(['ledger', 'key', '--config', join(folder, 'hallpass.json')], terminal)).toBe(0);
    expect(terminal.said.out).toMatch(/^pass\.test\/ledger\+/);
  });
});
