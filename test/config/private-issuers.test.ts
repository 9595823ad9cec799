import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeIo } from '../../src/lib/node-io.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { makeCertificate } from '../support/certificate.ts';
import { audience, embeddedConfig } from '../support/config.ts';
import { freePort } from '../support/free-port.ts';
import { testIssuer } from '../support/issuer.ts';

/** Issuers of a private cluster in a whole broker: what the config says reaches the calls. */
let folder: string;
let server: Server;
let broker: OpenBroker;
let shown: (string | undefined)[];
const { cert, key } = makeCertificate('cluster');
const issuer = testIssuer('https://issuer.test', audience);
const filed = testIssuer('https://filed.test', audience);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hallpass-private-'));
  shown = [];
  const port = await freePort();
  server = createServer({ cert, key }, (request, response) => {
    shown.push(request.headers.authorization);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(issuer.jwks));
  });
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  writeFileSync(join(folder, 'ca.pem'), cert);
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify(filed.jwks));
  const jwksUri = `https://127.0.0.1:${port}/jwks`;
  const config = embeddedConfig(folder, issuer, {
    issuers: {
      ci: { issuer: issuer.url, jwksUri, ca: 'ca.pem', jwksAuth: { store: 'sec', name: 'CLUSTER' } },
      filed: { issuer: filed.url, jwksFile: 'jwks.json' },
    },
    stores: { here: { kind: 'local', path: join(folder, 'store') }, sec: { kind: 'env' } },
    grants: ['ci', 'filed'].map((name) => ({
      name,
      identity: { issuer: name, subject: 'svc:checkout' },
      may: ['partner'],
      ttl: '5m',
    })),
  });
  broker = await openBroker(config, folder, {
    ...nodeIo(folder),
    env: { HALLPASS_SECRET_CLUSTER: 'fake-cluster-token' },
  });
});
afterAll(async () => {
  await broker.deployment.close();
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

test('keys come over a pinned certificate, for a token that a store keeps', async () => {
  const answer = await broker.ask('/v1/credentials/partner', issuer.token({ sub: 'svc:checkout' }));
  expect(answer.status).toBe(200);
  expect(shown).toEqual(['Bearer fake-cluster-token']);
});

test('keys come from a file of the config’s folder', async () => {
  const answer = await broker.ask('/v1/credentials/partner', filed.token({ sub: 'svc:checkout' }));
  expect(answer.status).toBe(200);
});
