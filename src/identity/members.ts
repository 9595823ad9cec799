import type { Member } from '../lib/issuer-shape.ts';
import type { Json, JsonObject } from '../lib/strict-json.ts';

/**
 * The members of a token's claims, each of the very type that its preset says, by name; undefined when one has another
 * type, or a required one is missing or empty. `null` is absent: some platforms write it for what does not apply.
 */
export function readMembers<Value extends string | number | boolean = string | number | boolean>(
  claims: JsonObject,
  members: Readonly<Record<string, Member>>,
  required: readonly string[],
): Readonly<Record<string, Value>> | undefined {
  const values: Record<string, Value> = {};
  for (const name in members) {
    const value = claims[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== members[name]?.type) return undefined;
    values[name] = value as Value;
  }
  return required.some((name) => values[name] === undefined || values[name] === '') ? undefined : values;
}

/** Some members of a claim set, in its own shape. */
export const pickClaims = (claims: JsonObject, names: readonly string[]): JsonObject =>
  Object.fromEntries(names.filter((name) => Object.hasOwn(claims, name)).map((name) => [name, claims[name] as Json]));

export const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
