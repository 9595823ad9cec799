import { fromUtf8 } from './bytes.ts';

export type Json = null | boolean | number | string | Json[] | { [member: string]: Json };
export type JsonObject = { [member: string]: Json };

/** Thrown for text that is not strict JSON; `at` is the offset in UTF-16 units where it was noticed. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
  constructor(
    message: string,
    readonly at = 0,
  ) {
    super(message);
  }
}

/**
 * Parses JSON (RFC 8259) without its traps: fatal UTF-8, no BOM, no lone surrogates, no duplicate members at any
 * depth (escaped twins included), finite numbers, a bounded depth. `__proto__` stays an own data member.
 *
 * @throws JsonError
 */
export function parseStrictJson(input: string | Uint8Array, maxDepth = 16): Json {
  const text = typeof input === 'string' ? input : decode(input);
  if (text.charCodeAt(0) === 0xfeff) throw new JsonError('byte order mark');
  if (!text.isWellFormed()) throw new JsonError('lone surrogate');
  scan(text, maxDepth);
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new JsonError('not JSON');
  }
}

/** As parseStrictJson, and the value must be an object. */
export function parseStrictJsonObject(input: string | Uint8Array, maxDepth = 16): JsonObject {
  const value = parseStrictJson(input, maxDepth);
  if (!isJsonObject(value)) throw new JsonError('not an object');
  return value;
}

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function decode(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    throw new JsonError('not UTF-8');
  }
}

/**
 * Walks the text once, ahead of JSON.parse: what JSON.parse would forgive is refused here, what is not JSON at all is
 * left for it. Only strings, numbers and brackets are looked at, so it needs no grammar.
 */
function scan(text: string, maxDepth: number): void {
  const open: (Set<string> | undefined)[] = [];
  const endOfString = text.includes('\\') ? endOfAnyString : endOfPlainString;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) {
      const end = endOfString(text, at);
      const members = open.at(-1);
      if (members !== undefined && followsAsName(text, end)) addMember(members, text.slice(at, end), at);
      else refuseLoneSurrogate(text, at, end);
      at = end - 1;
    } else if (unit === 0x7b || unit === 0x5b) {
      open.push(unit === 0x7b ? new Set() : undefined);
      if (open.length > maxDepth) throw new JsonError('too deep', at);
    } else if (unit === 0x7d || unit === 0x5d) open.pop();
    else if (unit === 0x2d || (unit >= 0x30 && unit <= 0x39)) at = endOfNumber(text, at) - 1;
  }
}

/** Where nothing in the text is escaped, as in most, a string ends at the next quote. */
function endOfPlainString(text: string, start: number): number {
  const end = text.indexOf('"', start + 1);
  if (end === -1) throw new JsonError('unterminated string', start);
  return end + 1;
}

function endOfAnyString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
  throw new JsonError('unterminated string', start);
}

function followsAsName(text: string, end: number): boolean {
  let at = end;
  while (isSpace(text.charCodeAt(at))) at++;
  return text.charCodeAt(at) === 0x3a;
}

const isSpace = (unit: number) => unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;

function addMember(members: Set<string>, quoted: string, at: number): void {
  const name = unquote(quoted, at);
  if (members.has(name)) throw new JsonError('duplicate member', at);
  members.add(name);
}

function refuseLoneSurrogate(text: string, start: number, end: number): void {
  const quoted = text.slice(start, end);
  if (quoted.includes('\\u')) unquote(quoted, start);
}

function unquote(quoted: string, at: number): string {
  if (!quoted.includes('\\')) return quoted.slice(1, -1);
  let value: string;
  try {
    value = JSON.parse(quoted);
  } catch {
    throw new JsonError('bad string', at);
  }
  if (!value.isWellFormed()) throw new JsonError('lone surrogate', at);
  return value;
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && '0123456789+-.eE'.includes(text[end] as string)) end++;
  if (!Number.isFinite(Number(text.slice(start, end)))) throw new JsonError('number out of range', start);
  return end;
}
