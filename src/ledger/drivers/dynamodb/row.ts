import type { AttributeValue } from '@aws-sdk/client-dynamodb';

/** What an attribute may hold here. A set holds texts, and is never empty. */
export type Value =
  | string
  | number
  | Uint8Array
  | ReadonlySet<string>
  | readonly Value[]
  | { readonly [name: string]: Value };

/** An item of the table; `pk` and `sk` are its key. */
export interface Row extends Key {
  readonly [attribute: string]: Value;
}

export interface Key {
  readonly pk: string;
  readonly sk: string;
}

export const encodeRow = (row: Readonly<Record<string, Value>>): Record<string, AttributeValue> =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, encode(value)]));

export const decodeRow = (item: Readonly<Record<string, AttributeValue>>): Row =>
  Object.fromEntries(Object.entries(item).map(([name, value]) => [name, decode(value)])) as unknown as Row;

function encode(value: Value): AttributeValue {
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'number') return { N: String(value) };
  if (value instanceof Uint8Array) return { B: value };
  if (value instanceof Set) return { SS: [...value] };
  if (Array.isArray(value)) return { L: value.map(encode) };
  return { M: encodeRow(value as Record<string, Value>) };
}

/** What is none of these is not ours, and becomes nothing that any check takes. */
function decode({ S, N, B, SS, L, M }: AttributeValue): Value {
  if (S !== undefined) return S;
  if (N !== undefined) return Number(N);
  if (B !== undefined) return B;
  if (SS !== undefined) return new Set(SS);
  if (L !== undefined) return L.map(decode);
  return M === undefined ? '' : decodeRow(M);
}

export const textOf = (value: Value | undefined): string => (typeof value === 'string' ? value : '');
export const numberOf = (value: Value | undefined): number => (typeof value === 'number' ? value : Number.NaN);
export const numberOrNull = (value: Value | undefined): number | null => (typeof value === 'number' ? value : null);
export const bytesOf = (value: Value | undefined): Uint8Array =>
  value instanceof Uint8Array ? value : new Uint8Array(0);
export const listOf = (value: Value | undefined): readonly Value[] => (Array.isArray(value) ? value : []);
export const textsOf = (value: Value | undefined): readonly string[] =>
  value instanceof Set ? [...value] : listOf(value).map(textOf);
