import { fromBase64Url } from '../lib/bytes.ts';
import { JsonError, type JsonObject, parseStrictJsonObject } from '../lib/strict-json.ts';
import { algorithmNamed } from './algorithms.ts';
import { refuseToken } from './refuse.ts';

/** A token taken apart, nothing of it verified. */
export interface CompactToken {
  /** By our name for it. */
  readonly alg: string;
  readonly kid: string | undefined;
  readonly typ: string | undefined;
  readonly x5t: string | undefined;
  readonly claims: JsonObject;
  /** `header.payload`, what is signed (RFC 7515 section 5.2). */
  readonly signed: string;
  readonly signature: Uint8Array;
}

const headerMembers = new Set(['alg', 'kid', 'typ', 'x5t']);
const longestKid = 256;

/**
 * Takes a compact JWS apart; each check refuses before the next costs anything. The payload is parsed here because
 * its `iss` picks the issuer; nothing else of it is looked at before the signature.
 *
 * @throws Refusal token_invalid
 */
export function readCompact(token: string, maxBytes: number): CompactToken {
  if (token.length > maxBytes) throw refuseToken('too_long');
  // Dots are counted, never split on: a token of dots costs nothing (CVE-2025-30204).
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  if (first <= 0 || second <= first + 1 || second === token.length - 1) throw refuseToken('malformed');
  if (token.indexOf('.', second + 1) !== -1) throw refuseToken('malformed');
  const header = headerOf(token.slice(0, first));
  const payloadBytes = decode(token.slice(first + 1, second));
  const signature = decode(token.slice(second + 1));
  return {
    ...header,
    signature,
    signed: token.slice(0, second),
    claims: parse(payloadBytes, 'payload'),
  };
}

type Header = Pick<CompactToken, 'alg' | 'kid' | 'typ' | 'x5t'>;

/** Headers that were read, by their text: all tokens under one key have the same. Bounded, as anybody can send others. */
const headers = new Map<string, Header>();
const mostHeaders = 64;
const longestHeader = 512;

function headerOf(part: string): Header {
  const known = headers.get(part);
  if (known !== undefined) return known;
  const header = readHeader(decode(part));
  if (part.length > longestHeader) return header;
  if (headers.size >= mostHeaders) headers.clear();
  headers.set(part, header);
  return header;
}

function decode(part: string): Uint8Array {
  const bytes = fromBase64Url(part);
  if (bytes === undefined) throw refuseToken('malformed');
  return bytes;
}

/**
 * The allow-list leaves no room for crit, b64, zip, jwk, jku, x5u or x5c (RFC 8725bis section 3.1, CVE-2018-0114). Whether
 * this issuer's tokens may be without `kid`, or of type JOSE, is for the issuer to say.
 */
function readHeader(bytes: Uint8Array): Header {
  const header = parse(bytes, 'header');
  for (const member of Object.keys(header)) if (!headerMembers.has(member)) throw refuseToken('header');
  const { alg, kid, typ, x5t } = header;
  if (typeof alg !== 'string') throw refuseToken('header');
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > longestKid))
    throw refuseToken('header');
  if (typ !== undefined && typ !== 'JWT' && typ !== 'JOSE') throw refuseToken('header');
  if (x5t !== undefined && typeof x5t !== 'string') throw refuseToken('header');
  return { alg: algorithmNamed(alg), kid, typ, x5t };
}

function parse(bytes: Uint8Array, reason: 'header' | 'payload'): JsonObject {
  try {
    return parseStrictJsonObject(bytes);
  } catch (error) {
    throw error instanceof JsonError ? refuseToken(reason) : error;
  }
}
