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
  const at = timeOf(scope);
  const date = { 'x-amz-date': at, 'x-amz-security-token': by.sessionToken };
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...request.headers, ...date })) headers[name.toLowerCase()] = value;
  const signed = Object.entries({ ...headers, host: request.host })
    .filter(([name]) => name === 'host' || name === 'content-type' || name.startsWith('x-amz-'))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = signed.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, ' ')}\n`);
  const names = signed.map(([name]) => name).join(';');
  const canonical = `POST\n/\n\n${lines.join('')}\n${names}\n${toHex(sha256(request.body))}`;
  const credential = `${by.accessKeyId}/${pathOf(scope).join('/')}`;
  const signature = signatureOf(canonical, by, scope);
  headers.authorization = `${algorithm} Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`;
  return headers;
}

/**
 * `host/?query` of a GET that is signed in its query and taken for `seconds`: whoever has it may make the request, once or
 * often. The host has its port where that is not the scheme's own.
 */
export function presign(
  { host, query, seconds }: { readonly host: string; readonly query: Record<string, string>; readonly seconds: number },
  by: AwsCredentials,
  scope: Scope,
): string {
  const unsigned = {
    ...query,
    'X-Amz-Algorithm': algorithm,
    'X-Amz-Credential': `${by.accessKeyId}/${pathOf(scope).join('/')}`,
    'X-Amz-Date': timeOf(scope),
    'X-Amz-Expires': String(seconds),
    'X-Amz-Security-Token': by.sessionToken,
    'X-Amz-SignedHeaders': 'host',
  };
  const canonical = `GET\n/\n${queryOf(unsigned)}\nhost:${host}\n\nhost\n${toHex(sha256(''))}`;
  return `${host}/?${queryOf({ ...unsigned, 'X-Amz-Signature': signatureOf(canonical, by, scope) })}`;
}

function signatureOf(canonical: string, by: AwsCredentials, scope: Scope): string {
  const path = pathOf(scope);
  const text = `${algorithm}\n${timeOf(scope)}\n${path.join('/')}\n${toHex(sha256(canonical))}`;
  return toHex(hmacSha256(path.reduce(hmacSha256, toUtf8(`AWS4${by.secretAccessKey}`)), text));
}

const timeOf = ({ now }: Scope): string => new Date(now).toISOString().replace(/[-:]|\.\d{3}/g, '');

const pathOf = (scope: Scope): string[] => [timeOf(scope).slice(0, 8), scope.region, scope.service, 'aws4_request'];

const queryOf = (query: Readonly<Record<string, string>>): string =>
  Object.entries(query)
    .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
    .sort()
    .join('&');

/** Everything but the unreserved characters (RFC 3986 section 2.3). */
export const percentEncode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
