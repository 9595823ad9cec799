import { generateKeyPairSync } from 'node:crypto';
import { freePort } from '../support/free-port.ts';
import { startServer, temporaryFolder, writeConfig } from '../support/server.ts';
import { startLambda } from './lambda-runner.ts';
import { audience, configFor, issuer, type Running, type Send, scenario, variables } from './scenario.ts';

scenario('Lambda, with its ledger at a Node server', async (): Promise<Running> => {
  const { folder, remove } = temporaryFolder();
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const central = writeConfig(folder, centralConfig(url, publicKey.export({ format: 'jwk' })), 'central.json');
  let server = await startServer(central, port);
  const ledger: Send = (path, init) => fetch(`${url}${path}`, init);
  const key = (await (await ledger('/v1/log/key')).text()).trim();

  const config = configFor({
    ledger: { kind: 'http', url, key },
    signer: { kind: 'local', key: { store: 'here', name: 'SIGNER' } },
  });
  const env = {
    ...variables,
    HALLPASS_SECRET_SIGNER: JSON.stringify(privateKey.export({ format: 'jwk' })),
    HALLPASS_CONFIG: JSON.stringify(config),
  };
  let lambda = startLambda(env);
  return {
    send: (path, init) => lambda.send(path, init),
    ledger,
    async restart() {
      await lambda.end();
      await server.stop();
      server = await startServer(central, port);
      lambda = startLambda(env);
    },
    async end() {
      await lambda.end();
      await server.stop();
      remove();
    },
  };
});

/** The central ledger: it knows the broker at the edge, and what that one may have signed. */
function centralConfig(url: string, jwk: object): object {
  return {
    broker: { url, audience, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    issuers: {
      edge: { issuer: audience, audience: url, jwks: { keys: [{ ...jwk, alg: 'ES256', use: 'sig' }] } },
      ci: { issuer: issuer.url, jwks: issuer.jwks },
    },
    credentials: { partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' } },
    roles: { writer: { ledger: 'append', mint: ['partner'] }, auditor: { audit: 'read' } },
    grants: [
      { name: 'edge', identity: { issuer: 'edge', subject: 'broker' }, may: ['writer'] },
      { name: 'audit', identity: { issuer: 'ci', subject: 'svc:auditor' }, may: ['auditor'] },
    ],
  };
}
