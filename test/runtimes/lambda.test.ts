import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { freePort } from '../http/free-port.ts';
import { repository, startServer, temporaryFolder, writeConfig } from '../support/server.ts';
import { audience, configFor, issuer, type Running, type Send, scenario, variables } from './scenario.ts';

const bundle = pathToFileURL(join(repository, 'dist/lambda.mjs')).href;

interface LambdaAnswer {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly isBase64Encoded?: boolean;
}

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

function startLambda(env: Record<string, string>): { send: Send; end(): Promise<void> } {
  const script = join(import.meta.dirname, 'lambda-process.mjs');
  const child: ChildProcess = spawn(process.execPath, [script, bundle], {
    stdio: ['pipe', 'pipe', 'ignore'],
    // Nothing of this process's environment but where programs are: a Lambda has no repository around it.
    env: { PATH: process.env.PATH, ...env },
    cwd: '/',
  });
  const waiting = new Map<number, (answer: LambdaAnswer) => void>();
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const { id, answer } = JSON.parse(line) as { id: number; answer: LambdaAnswer };
    waiting.get(id)?.(answer);
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const failed = ended.then((code) => Promise.reject(new Error(`the Lambda process ended with ${code}`)));
  failed.catch(() => {});
  let next = 0;
  return {
    async send(path, init = {}) {
      const id = next++;
      const answered = new Promise<LambdaAnswer>((resolve) => {
        waiting.set(id, resolve);
      });
      child.stdin?.write(`${JSON.stringify({ id, event: eventOf(path, init) })}\n`);
      const { statusCode, headers, body, isBase64Encoded } = await Promise.race([answered, failed]);
      const bytes = isBase64Encoded === true ? Buffer.from(body, 'base64') : body;
      return new Response(statusCode === 204 ? null : bytes, { status: statusCode, headers });
    },
    async end() {
      child.stdin?.end();
      await ended;
    },
  };
}

/** An event of API Gateway's HTTP API, payload format 2.0. */
function eventOf(path: string, { method = 'GET', headers = {}, body }: RequestInit): object {
  const { pathname, search, host } = new URL(path, audience);
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: pathname,
    rawQueryString: search.slice(1),
    headers: { host, ...(headers as Record<string, string>) },
    requestContext: {
      accountId: '123456789012',
      apiId: 'api',
      domainName: host,
      http: { method, path: pathname, protocol: 'HTTP/1.1', sourceIp: '192.0.2.7', userAgent: 'test' },
      requestId: 'id',
      routeKey: '$default',
      stage: '$default',
      timeEpoch: Date.now(),
    },
    body: typeof body === 'string' ? body : null,
    isBase64Encoded: false,
  };
}
