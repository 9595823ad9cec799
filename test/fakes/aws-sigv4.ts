import { createHash, createHmac } from 'node:crypto';
import type { FakeCall } from './server.ts';

export type SignatureFault = 'unsigned' | 'unknown_key' | 'expired_session' | 'skew' | 'signature';

/** Credentials that a fake gave out or knows; the token is what a request must show beside the signature. */
export interface KnownCredentials {
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

const hash = (text: string | Uint8Array) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** What is wrong with a call's Signature Version 4, undefined when it holds; written from AWS's description of it. */
export function signatureFault(
  { method, url, headers, bytes }: FakeCall,
  known: ReadonlyMap<string, KnownCredentials>,
  now: number,
): SignatureFault | undefined {
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=(\w+)\/((\d{8})\/([\w-]+)\/(\w+)\/aws4_request), SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/;
  const found = pattern.exec(headers.authorization ?? '');
  const at = String(headers['x-amz-date']);
  if (found === null || !/^\d{8}T\d{6}Z$/.test(at)) return 'unsigned';
  const [, id = '', scope = '', day = '', region = '', service = '', names = '', signature] = found;
  const by = known.get(id);
  if (by === undefined || headers['x-amz-security-token'] !== by.sessionToken) return 'unknown_key';
  if (by.until <= now) return 'expired_session';
  const signedAt = Date.parse(at.replace(/^(....)(..)(..T..)(..)/, '$1-$2-$3:$4:'));
  if (Math.abs(signedAt - now) > 5 * 60_000 || !at.startsWith(day)) return 'skew';
  const list = names.split(';');
  for (const name of ['host', 'x-amz-date', 'x-amz-security-token']) if (!list.includes(name)) return 'signature';
  const lines = list.map((name) => `${name}:${String(headers[name]).trim()}\n`).join('');
  const canonical = [method, url.pathname, url.searchParams.toString(), lines, names, hash(bytes)].join('\n');
  const text = ['AWS4-HMAC-SHA256', at, scope, hash(canonical)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${by.secretAccessKey}`);
  return hmac(key, text).toString('hex') === signature ? undefined : 'signature';
}
