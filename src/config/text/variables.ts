import type { Fault } from '../../lib/fault.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';

export interface Expanded {
  readonly value: Json;
  readonly faults: readonly Fault[];
  /** Where a text lacks what its variable was to give: whatever else is wrong with it follows from that. */
  readonly incomplete: readonly Fault['path'][];
  /** What the environment gave, by value: messages show the variable's name instead. */
  readonly taken: ReadonlyMap<string, string>;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Puts variables of the environment into every string of a parsed config: `${NAME}`, and `$${` for a literal `${`.
 * What a variable holds is never parsed again. Names under an `env` store's prefix hold secrets and are refused.
 */
export function expandVariables(config: Json, env: Env): Expanded {
  const faults: Fault[] = [];
  const incomplete: Fault['path'][] = [];
  const taken = new Map<string, string>();
  const uses: { name: string; path: Fault['path'] }[] = [];

  const lookUp = (name: string, path: Fault['path']): string => {
    const found = Object.hasOwn(env, name) ? env[name] : undefined;
    uses.push({ name, path });
    if (found !== undefined) {
      taken.set(found, name);
      return found;
    }
    faults.push({ path, message: `the variable ${name} is not set` });
    incomplete.push(path);
    return '';
  };

  const inText = (text: string, path: Fault['path']): string =>
    text.replaceAll(/\$?\$\{([A-Za-z_][A-Za-z0-9_]{0,127}\})?/g, (match, rest?: string) => {
      if (match.startsWith('$$')) return match.slice(1);
      if (rest !== undefined) return lookUp(rest.slice(0, -1), path);
      faults.push({ path, message: `a variable is written \${NAME}`, hint: `write $\${ for a literal \${` });
      return '';
    });

  const walk = (node: Json, path: Fault['path']): Json => {
    if (typeof node === 'string') return node.includes('${') ? inText(node, path) : node;
    if (Array.isArray(node)) return node.map((item, index) => walk(item, [...path, index]));
    if (!isJsonObject(node)) return node;
    return Object.fromEntries(Object.entries(node).map(([name, member]) => [name, walk(member, [...path, name])]));
  };

  const value = walk(config, []);
  const prefixes = secretPrefixes(value);
  for (const { name, path } of uses) {
    if (!prefixes.some((prefix) => name.startsWith(prefix))) continue;
    faults.push({
      path,
      message: `the variable ${name} is a secret of an env store`,
      hint: 'refer to it with { store, name }',
    });
  }
  return { value, faults, incomplete, taken };
}

// Where the prefix is not written it is the env store's default.
function secretPrefixes(config: Json): string[] {
  if (!isJsonObject(config) || !isJsonObject(config.stores)) return [];
  const envStores = Object.values(config.stores).filter((entry) => isJsonObject(entry) && entry.kind === 'env');
  const prefixes = envStores.map((entry) => (entry as JsonObject).prefix ?? 'HALLPASS_SECRET_');
  return prefixes.filter((prefix): prefix is string => typeof prefix === 'string' && prefix !== '');
}
