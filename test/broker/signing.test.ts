import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseRecord } from '../../src/ledger/records/record.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { makeAuthority } from '../credentials/authority.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { audience, embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

const issuer = testIssuer('https://issuer.test', audience);
const soon = () => deadlineIn(5_000, Date.now);
let broker: OpenBroker;
let remove: () => void;

/** A CA whose key the store does not have, beside a credential that can be signed. */
beforeEach(async () => {
  const { folder, remove: removeFolder } = temporaryFolder();
  remove = removeFolder;
  const { certificate } = makeAuthority();
  const key = { store: 'vars', name: 'CA' };
  const config = embeddedConfig(folder, issuer, {
    stores: { vars: { kind: 'env' } },
    credentials: {
      certificate: { kind: 'x509', certificate, key, uri: 'spiffe://acme.example/work' },
      partner: { kind: 'jwt', audience: 'https://api.partner.example' },
    },
    roles: { checkout: ['certificate', 'partner'], auditor: { audit: 'read' } },
  });
  broker = await openBroker(config, folder);
});
afterEach(async () => {
  await broker.deployment.close();
  remove();
});

const token = () => issuer.token({ sub: 'svc:checkout' });
const told = async () => {
  const entries = (await broker.deployment.ledger.reader?.list({ limit: 100 }, soon())) ?? [];
  return entries
    .map(({ record }) => parseRecord(record))
    .filter(({ type }) => type !== 'policy' && type !== 'key')
    .map(({ type, reason, credential }) => [type, credential ?? reason].join(' '))
    .reverse();
};

describe('a key that signs and cannot be read', () => {
  it('is the store’s failure, not the ledger’s, which has told already that nothing was issued', async () => {
    const answer = await broker.ask('/v1/credentials/certificate', token());
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({ code: 'store_failed' });
    expect(await told()).toEqual(['issuance certificate', 'failure mint_failed']);
    await broker.deployment.recover(soon());
    expect(await told()).toEqual(['issuance certificate', 'failure mint_failed']);
  });

  it('leaves what was recorded beside it to be revoked', async () => {
    const body = JSON.stringify({ names: ['certificate', 'partner'] });
    const headers = { authorization: `Bearer ${token()}`, 'content-type': 'application/json' };
    const answer = await broker.send('/v1/credentials', { method: 'POST', headers, body });
    expect(answer.status).toBe(502);
    await broker.deployment.recover(soon());
    const records = await told();
    expect(records.slice(0, 3)).toEqual(['issuance certificate', 'issuance partner', 'failure mint_failed']);
    expect(records.slice(3)).toContain('revocation partner');
    expect(records.slice(3)).not.toContain('revocation certificate');
  });
});
