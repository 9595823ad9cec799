import { fromBase64, fromUtf8 } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { UpstreamError } from '../../lib/upstream.ts';

/** A Secret as the API server gives it. */
export interface SecretObject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Changes with each write to any of it, labels included. */
  readonly resourceVersion: string;
  /** RFC 3339. */
  readonly createdAt: string;
  /** Base64 by key. */
  readonly data: JsonObject;
}

/** @throws UpstreamError damaged */
export function readSecret(object: Json): SecretObject {
  const { metadata, data = {} } = isJsonObject(object) ? object : {};
  const { namespace, name, uid, resourceVersion, creationTimestamp } = isJsonObject(metadata) ? metadata : {};
  const texts = [namespace, name, uid, resourceVersion, creationTimestamp];
  if (!texts.every((text) => typeof text === 'string') || !isJsonObject(data)) throw damaged('unexpected_answer');
  return { namespace, name, uid, resourceVersion, createdAt: creationTimestamp, data } as SecretObject;
}

/** The bytes under a key, or the JSON of all keys' texts; undefined where there is no such key. @throws UpstreamError */
export function secretIn({ data }: SecretObject, key: string | undefined): Secret | undefined {
  if (key !== undefined) return Object.hasOwn(data, key) ? new Secret(bytesOf(data[key])) : undefined;
  const texts = Object.entries(data).map(([name, value]) => [name, textOf(bytesOf(value))]);
  return new Secret(JSON.stringify(Object.fromEntries(texts)));
}

function bytesOf(value: Json | undefined): Uint8Array {
  const bytes = typeof value === 'string' ? fromBase64(value) : undefined;
  if (bytes === undefined) throw damaged('not_base64');
  return bytes;
}

// Such a key can be read by itself.
function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    throw new UpstreamError('invalid', { step: 'read', reason: 'not_text' });
  }
}

const damaged = (reason: string) => new UpstreamError('damaged', { step: 'read', reason });
