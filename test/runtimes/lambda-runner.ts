import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { repository } from '../support/server.ts';
import { audience, type Send } from './scenario.ts';

const bundle = pathToFileURL(join(repository, 'dist/lambda.mjs')).href;

interface LambdaAnswer {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly isBase64Encoded?: boolean;
}

export interface RunningLambda {
  readonly send: Send;
  /** What the operator's log said so far. */
  log(): string;
  end(): Promise<void>;
}

/** The built Lambda bundle in a process of its own that has these variables and nothing else of this one's. */
export function startLambda(env: Record<string, string>): RunningLambda {
  const script = join(import.meta.dirname, 'lambda-process.mjs');
  const child = spawn(process.execPath, [script, bundle], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Nothing of this process's environment but where programs are: a Lambda has no repository around it.
    env: { PATH: process.env.PATH, ...env },
    cwd: '/',
  });
  let log = '';
  child.stderr.on('data', (text) => {
    log += text;
  });
  const waiting = new Map<number, (answer: LambdaAnswer) => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, answer } = JSON.parse(line) as { id: number; answer: LambdaAnswer };
    waiting.get(id)?.(answer);
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const failed = ended.then((code) => Promise.reject(new Error(`the Lambda process ended with ${code}: ${log}`)));
  failed.catch(() => {});
  let next = 0;
  return {
    async send(path, init = {}) {
      const id = next++;
      const answered = new Promise<LambdaAnswer>((resolve) => {
        waiting.set(id, resolve);
      });
      child.stdin.write(`${JSON.stringify({ id, event: eventOf(path, init) })}\n`);
      const { statusCode, headers, body, isBase64Encoded } = await Promise.race([answered, failed]);
      const bytes = isBase64Encoded === true ? Buffer.from(body, 'base64') : body;
      return new Response(statusCode === 204 ? null : bytes, { status: statusCode, headers });
    },
    log: () => log,
    async end() {
      child.stdin.end();
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
