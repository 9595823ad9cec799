import { randomBytes, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/http/app.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import { makeAuthority, makeKeyPair, makeRequest } from '../credentials/authority.ts';
import { isSignedBy, lineOf, makeSshAuthority, readCertificate } from '../credentials/ssh-keys.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

// The keys of the CAs are where the ledger is; the broker that hands certificates over has none.

const ledgerUrl = 'https://ledger.test';
const edgeUrl = 'https://edge.test';
const cluster = testIssuer('https://cluster.test', ledgerUrl);
const ci = testIssuer('https://ci.test', edgeUrl);
const central = temporaryFolder();
const edge = temporaryFolder();
const authority = makeAuthority();
const ca = makeSshAuthority();
const soon = () => deadlineIn(5_000, Date.now);

const certificates = (more: { x509?: object; ssh?: object } = {}) => ({
  web: {
    kind: 'x509',
    certificate: authority.certificate,
    uri: 'spiffe://acme.example/{{ claims.team }}',
    ...more.x509,
  },
  host: { kind: 'ssh', publicKey: ca.publicKey, principals: ['{{ claims.team }}'], ...more.ssh },
});
const keyed = { x509: { key: { store: 'vars', name: 'X509_CA' } }, ssh: { key: { store: 'vars', name: 'SSH_CA' } } };

let ledger: OpenBroker;
beforeAll(async () => {
  const config = {
    broker: { url: ledgerUrl, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    issuers: { cluster: { issuer: cluster.url, jwks: cluster.jwks } },
    stores: { vars: { kind: 'env' } },
    credentials: certificates(keyed),
    roles: { writer: { ledger: 'append', mint: ['web', 'host'], writer: edgeUrl } },
    grants: [{ name: 'edge', identity: { issuer: 'cluster', subject: 'system:edge' }, may: ['writer'] }],
  };
  const env = { HALLPASS_SECRET_X509_CA: authority.key, HALLPASS_SECRET_SSH_CA: ca.key };
  ledger = await openBroker(config, central.folder, { env });
  writeFileSync(join(edge.folder, 'token'), cluster.token({ sub: 'system:edge' }));
});
afterAll(async () => {
  await ledger.deployment.close();
  central.remove();
  edge.remove();
});

/** A broker at the edge whose config says this of the two credentials. */
async function openEdge(credentials = certificates()) {
  const config = {
    broker: { url: edgeUrl, secret: { store: 'vars', name: 'SHARED' } },
    ledger: {
      kind: 'http',
      url: ledgerUrl,
      key: await ledger.deployment.ledger.key(soon()),
      identity: { kind: 'file', tokenFile: 'token' },
    },
    issuers: { ci: { issuer: ci.url, jwks: ci.jwks } },
    stores: { vars: { kind: 'env' } },
    credentials,
    roles: { all: ['web', 'host'] },
    grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['all'], ttl: '5m' }],
  };
  const app = createApp(ledger.deployment, {
    runtime: 'node',
    now: Date.now,
    random: (bytes) => new Uint8Array(randomBytes(bytes)),
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    instance: 'central',
  });
  const env = { HALLPASS_SECRET_SHARED: randomBytes(32).toString('base64') };
  const fetch = async (url: string, init: RequestInit) => app.fetch(new Request(url, init));
  return openBroker(config, edge.folder, { ...nodeIo(edge.folder), env, fetch });
}

async function ask(
  name: string,
  body: object = {},
  { claims = { team: 'shop' }, broker }: { claims?: object; broker?: OpenBroker } = {},
) {
  const at = broker ?? (await openEdge());
  const headers = { authorization: `Bearer ${ci.token({ ...claims })}`, 'content-type': 'application/json' };
  const answer = await at.send(`/v1/credentials/${name}`, { method: 'POST', headers, body: JSON.stringify(body) });
  await at.deployment.close();
  return { status: answer.status, body: (await answer.json()) as Answer };
}

interface Answer {
  readonly code?: string;
  readonly id: string;
  readonly data: Record<string, string>;
  readonly lease: { readonly expiresAt: string; readonly revocable: boolean };
  readonly receipt: { readonly record: string; readonly disclosure: string };
}

const recordOf = ({ receipt }: Answer) => JSON.parse(receipt.record);
const mintOf = ({ receipt }: Answer) => JSON.parse(Buffer.from(receipt.disclosure, 'base64url').toString())[1].mint;

describe('a certificate from a broker without the CA’s key', () => {
  it('is an X.509 one that the CA signed, for the key of a request, and the record knows it by its serial', async () => {
    const { csr, spki } = makeRequest();
    const { status, body } = await ask('web', { csr });
    expect(status, JSON.stringify(body)).toBe(200);
    const x509 = new X509Certificate(body.data.certificate as string);
    expect(x509.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(x509.publicKey.export({ type: 'spki', format: 'der' })).toEqual(spki);
    expect(x509.subjectAltName).toBe('URI:spiffe://acme.example/shop');
    expect(Date.parse(x509.validTo)).toBe(Date.parse(body.lease.expiresAt));
    expect(recordOf(body)).toMatchObject({
      type: 'issuance',
      id: body.id,
      lease: { account: x509.serialNumber, revocable: false },
    });
    expect(recordOf(body)).not.toHaveProperty('fingerprint');
    expect(mintOf(body)).toMatchObject({ use: 'x509', certificate: { serialNumber: x509.serialNumber } });
  });

  it('is an SSH one for the caller’s key, and the record knows it by its key id', async () => {
    const publicKey = lineOf(makeKeyPair('Ed25519').publicKey);
    const { status, body } = await ask('host', { publicKey });
    expect(status, JSON.stringify(body)).toBe(200);
    const certificate = readCertificate(body.data.certificate as string);
    expect(isSignedBy(certificate, ca.public)).toBe(true);
    expect(certificate).toMatchObject({ keyId: `hp_${body.id}`, principals: ['shop'] });
    expect(recordOf(body).lease.account).toBe(certificate.keyId);
    expect(mintOf(body).certificate.publicKey).toBe(publicKey.split(' ').slice(0, 2).join(' '));
  });

  it.each(['web', 'host'])('%s comes with a key that no record holds, and its fingerprint', async (name) => {
    const { body } = await ask(name);
    expect(recordOf(body).fingerprint).toMatch(/^hmac-sha256:/);
    const told = JSON.stringify(body.receipt) + JSON.stringify(mintOf(body));
    for (const line of (body.data.privateKey as string).split('\n').slice(2, -3)) expect(told).not.toContain(line);
  });

  it.each([
    ['web', { csr: 'x' }],
    ['web', { publicKey: lineOf(makeKeyPair('Ed25519').publicKey) }],
    ['host', { publicKey: 'ssh-ed25519 AAAA' }],
    ['host', { csr: makeRequest().csr }],
  ])('%s is refused with 400 for %j', async (name, body) => {
    expect(await ask(name, body)).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });

  it.each(['web', 'host'])('%s is denied to whom no template fits', async (name) => {
    for (const claims of [{ team: name === 'web' ? 'a/..' : 'a,b' }, { team: '' }, {}])
      expect(await ask(name, {}, { claims })).toMatchObject({ status: 403, body: { code: 'denied' } });
  });

  it('is nothing that the ledger’s own config would not have signed', async () => {
    const others = [
      certificates({ x509: { uri: 'spiffe://acme.example/root' }, ssh: { principals: ['root'] } }),
      certificates({
        x509: { certificate: makeAuthority().certificate },
        ssh: { publicKey: makeSshAuthority().publicKey },
      }),
      certificates({ x509: { usages: ['server'] }, ssh: { extensions: ['permit-port-forwarding'] } }),
      certificates({ x509: { dns: ['bank.example'] }, ssh: { type: 'host' } }),
    ];
    for (const credentials of others) {
      for (const name of ['web', 'host']) {
        const { status, body } = await ask(name, {}, { broker: await openEdge(credentials) });
        expect([status, body.code]).toEqual([403, 'denied']);
        expect(body).not.toHaveProperty('data');
      }
    }
  });
});
