import { isJsonObject, type Json, type JsonObject } from './strict-json.ts';

/**
 * The claim at a path: an own member of that very name first, else the path split at a dot, the longest name first
 * (claim names hold dots: `kubernetes.io.namespace`). undefined when there is none.
 */
export function claimAt(claims: JsonObject, path: string): Json | undefined {
  if (Object.hasOwn(claims, path)) return claims[path];
  for (let dot = path.lastIndexOf('.'); dot > 0; dot = path.lastIndexOf('.', dot - 1)) {
    const head = path.slice(0, dot);
    const inner = Object.hasOwn(claims, head) ? claims[head] : undefined;
    if (!isJsonObject(inner)) continue;
    const found = claimAt(inner, path.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The members of `base` and those of `claims` at the paths, by their paths. */
export function withClaims(base: JsonObject, claims: JsonObject, paths: readonly string[]): JsonObject {
  if (paths.length === 0) return base;
  const picked: JsonObject = { ...base };
  for (const path of paths) {
    const value = claimAt(claims, path);
    if (value !== undefined) picked[path] = value;
  }
  return picked;
}
