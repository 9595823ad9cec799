import { hmacSha256, sha256, toHex, toUtf8 } from '../../lib/bytes.ts';
import type { AwsCredentials } from './credentials.ts';

/** A request as it is signed: services that are asked by POST at `/` alone, without a query. */
export interface Unsigned {
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Scope {
  readonly service: string;
  readonly region: string;
  /** Milliseconds since the epoch; AWS takes what is within five minutes of its own clock. */
  readonly now: number;
}

const algorithm = 'AWS4-HMAC-SHA256';

/** The headers with AWS's Signature Version 4 over method, host, path, what AWS reads of the headers, and the body. */
export function signRequest(request: Unsigned, by: AwsCredentials, scope: Scope): Record<string, string> {
  const at = new Date(scope.now).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const date = { 'x-amz-date': at, 'x-amz-security-token': by.sessionToken };
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...request.headers, ...date })) headers[name.toLowerCase()] = value;
  const signed = Object.entries({ ...headers, host: request.host })
    .filter(([name]) => name === 'host' || name === 'content-type' || name.startsWith('x-amz-'))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = signed.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, ' ')}\n`);
  const names = signed.map(([name]) => name).join(';');
  const canonical = `POST\n/\n\n${lines.join('')}\n${names}\n${toHex(sha256(request.body))}`;
  const path = [at.slice(0, 8), scope.region, scope.service, 'aws4_request'];
  const text = `${algorithm}\n${at}\n${path.join('/')}\n${toHex(sha256(canonical))}`;
  const key = path.reduce(hmacSha256, toUtf8(`AWS4${by.secretAccessKey}`));
  const credential = `${by.accessKeyId}/${path.join('/')}`;
  const signature = toHex(hmacSha256(key, text));
  headers.authorization = `${algorithm} Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`;
  return headers;
}
