import { fromUtf8 } from '../../lib/bytes.ts';
import type { Fault } from '../../lib/fault.ts';
import { isJsonObject, type Json, JsonError, type JsonObject, parseStrictJson } from '../../lib/strict-json.ts';
import type { Located } from './yaml.ts';

/** Something wrong with the text itself; `at` is an offset in UTF-16 units. */
export interface Spot {
  readonly at: number;
  readonly message: string;
  readonly hint?: string;
}

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A config text as a value, and the way back from a path in it to a place in the text. */
export interface Source {
  readonly value: JsonObject;
  /** Where a path stands (`name`: its name, not its value), or the nearest thing above it that is there. */
  places(): Promise<(path: Fault['path'], name?: true) => Place>;
}

const maxBytes = 256 * 1024;

/** Reads YAML 1.2 or JSON. JSON is parsed without the YAML package, which then serves only to find places. */
export async function readSource(text: string): Promise<Source | { readonly spots: readonly Spot[] }> {
  const fault = textFault(text);
  if (fault !== undefined) return { spots: [fault] };
  const json = /^\s*\{/.test(text) ? tryJson(text) : undefined;
  if (json !== undefined) {
    return {
      value: json,
      places: async () => {
        const { root } = await readLocated(text);
        return (path, name) => placeAt(text, root === undefined ? 0 : offsetOf(root, path, name));
      },
    };
  }
  const { root, spots } = await readLocated(text);
  if (root === undefined) return { spots: spots.length > 0 ? spots : [{ at: 0, message: 'the config is empty' }] };
  const { value } = root;
  if (!isJsonObject(value)) return { spots: [{ at: root.at, message: 'a config is a mapping of sections' }] };
  return { value, places: async () => (path, name) => placeAt(text, offsetOf(root, path, name)) };
}

/** The text of a config file, or from where on it is none. */
export function readText(bytes: Uint8Array): string | (Place & { readonly message: string }) {
  try {
    return fromUtf8(bytes);
  } catch {
    const start = textBefore(bytes);
    return { ...placeAt(start, start.length), message: 'the config is not UTF-8' };
  }
}

/** All that can be read of bytes that are no UTF-8 somewhere. */
function textBefore(bytes: Uint8Array): string {
  const read = (end: number) =>
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, end), { stream: true });
  let good = 0;
  for (let bad = bytes.length + 1; bad - good > 1; ) {
    const middle = Math.floor((good + bad) / 2);
    try {
      read(middle);
      good = middle;
    } catch {
      bad = middle;
    }
  }
  return read(good);
}

/** Line and column, from 1, of an offset. */
export function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  const start = Math.max(before.lastIndexOf('\n'), before.lastIndexOf('\r')) + 1;
  return { line: before.split(/\r\n|\r|\n/).length, column: offset - start + 1 };
}

function textFault(text: string): Spot | undefined {
  if (text.length > maxBytes || Buffer.byteLength(text) > maxBytes)
    return { at: 0, message: 'the config is larger than 256 KiB' };
  if (!text.isWellFormed()) return { at: 0, message: 'the config is not valid Unicode' };
  const nul = text.indexOf('\0');
  return nul === -1 ? undefined : { at: nul, message: 'a NUL character' };
}

// What strict JSON refuses is read as YAML, which is a superset and says where it hurts.
function tryJson(text: string): JsonObject | undefined {
  try {
    const value = parseStrictJson(text, 24);
    return isJsonObject(value) && !Object.hasOwn(value, '__proto__') && isExact(value) ? value : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

/** Of two ids so large one would be taken for the other. */
function isExact(value: Json): boolean {
  if (typeof value === 'number') return !Number.isInteger(value) || Number.isSafeInteger(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(isExact);
}

async function readLocated(text: string): Promise<{ root?: Located; spots: readonly Spot[] }> {
  const { readYaml } = await import('./yaml.ts');
  return readYaml(text);
}

// A mapping or list is pointed at by its name, a plain value by itself.
function offsetOf(root: Located, path: Fault['path'], name?: true): number {
  let node = root;
  for (const step of path) {
    const next = node.inner?.get(step);
    if (next === undefined) break;
    node = next;
  }
  return name === undefined && node.inner === undefined ? node.at : (node.key ?? node.at);
}
