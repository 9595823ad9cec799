import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { plainJson, shown } from '../terminal.ts';

/** What a lockdown stops, as its members; an erased one may stop anything. */
export function whatOf(match: Json | undefined): string {
  if (!isJsonObject(match)) return 'everything (what it named is erased)';
  const named = Object.entries(match).map(([member, value]) => `${member} ${text(value)}`);
  return named.length === 0 ? 'everything' : shown(named.join(', '));
}

export const asJson = (value: object): string => `${plainJson(value, 2)}\n`;

export const objectsIn = (value: Json | undefined): JsonObject[] =>
  Array.isArray(value) ? value.filter(isJsonObject) : [];

export const textsIn = (value: Json | undefined): string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string').map(shown) : [];

export const text = (value: Json | undefined): string =>
  value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);

export const cell = (value: Json | undefined): string => (value === undefined ? '-' : shown(text(value)));
