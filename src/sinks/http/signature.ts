import { fromBase64, hmacSha256, toBase64 } from '../../lib/bytes.ts';
import type { Secret } from '../../lib/secret.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { step } from '../post.ts';

/**
 * The header fields of Standard Webhooks 1.0.0: HMAC-SHA256 over `<id>.<seconds>.<body>`, base64 behind `v1,`. A key that
 * is written `whsec_...` is the base64 behind that; any other is its bytes as they are.
 * @throws UpstreamError for one that is empty, or not what it says it is
 */
export function signWebhook(key: Secret, id: string, body: string, now: number): Record<string, string> {
  const seconds = String(Math.floor(now / 1000));
  const signature = toBase64(hmacSha256(keyBytes(key), `${id}.${seconds}.${body}`));
  return { 'webhook-timestamp': seconds, 'webhook-signature': `v1,${signature}` };
}

function keyBytes(key: Secret): Uint8Array {
  const bytes = key.reveal();
  const text = Buffer.from(bytes).toString('latin1').trim();
  const used = text.startsWith('whsec_') ? fromBase64(text.slice(6)) : bytes;
  if (used === undefined || used.length === 0) throw new UpstreamError('invalid', { step, reason: 'webhook_key' });
  return used;
}
