import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/text/problem.ts';
import { noteSigner } from '../../src/ledger/tree/note.ts';
import { makeAuthority } from '../credentials/authority.ts';
import { makeSshAuthority } from '../credentials/ssh-keys.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';

const issuer = testIssuer('https://issuer.test', 'https://pass.test');
const key = { store: 'here', name: 'ca' };
const vkey = noteSigner('ledger.test/ledger', new Uint8Array(32)).vkey;
const elsewhere = { ledger: { kind: 'http', url: 'https://ledger.test', key: vkey } };
const entries = {
  x509: { kind: 'x509', certificate: makeAuthority().certificate, uri: 'spiffe://acme.example/{{ issuer }}' },
  ssh: { kind: 'ssh', publicKey: makeSshAuthority().publicKey, principals: ['{{ issuer }}'] },
};

/** What is said of the credential's key, errors and warnings. */
async function saidOf(credential: object, more: object = {}): Promise<string[]> {
  const value = embeddedConfig('/nowhere', issuer, { credentials: { ca: credential }, roles: {}, grants: [], ...more });
  const said = await checkConfig(value, { file: 'test', runtime: 'node', env: {}, folder: '/nowhere' }).then(
    ({ warnings }) => warnings,
    (error) => {
      if (!(error instanceof ConfigError)) throw error;
      return error.problems;
    },
  );
  return said.map(({ message }) => message).filter((message) => message.includes('credentials.ca'));
}

describe.each(Object.entries(entries))('the key of the CA of an %s', (_, entry) => {
  it('is required where the ledger is', async () => {
    expect(await saidOf({ ...entry, key })).toEqual([]);
    expect(await saidOf(entry)).toEqual(['credentials.ca.key: required: the CA signs here, as the ledger does']);
  });

  it('is of no use at a broker whose ledger is elsewhere', async () => {
    expect(await saidOf(entry, elsewhere)).toEqual([]);
    expect(await saidOf({ ...entry, key }, elsewhere)).toEqual([
      'credentials.ca.key: the CA signs where the ledger is, and needs no key here',
    ]);
  });
});
