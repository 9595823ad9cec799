import { kinds } from '../../credentials/index.ts';
import type { TokenExchange } from '../../credentials/kind.ts';
import { pick } from '../../lib/catalog.ts';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import type { Config } from '../config.ts';
import type { Report } from './entries.ts';

/** What a token exchange asks for. */
export interface ExchangeTarget {
  readonly credential: string;
  /** Absent where the credential is no token. */
  readonly exchange?: TokenExchange;
}

/** The credentials by all that a token exchange may call them: their names, and the `resource` of those that have one. */
export function exchangeTargets(credentials: Config['credentials']): ReadonlyMap<string, ExchangeTarget> {
  const targets = new Map<string, ExchangeTarget>();
  for (const [credential, { kind, resource }] of Object.entries(credentials)) {
    const target: ExchangeTarget = { credential, exchange: pick(kinds, kind).exchange };
    targets.set(credential, target);
    if (typeof resource === 'string') targets.set(resource, target);
  }
  return targets;
}

/** One URI means one credential. */
export function checkResources(credentials: JsonObject, report: Report): void {
  const taken = new Map<string, string>();
  for (const [name, entry] of Object.entries(credentials)) {
    if (!isJsonObject(entry) || typeof entry.resource !== 'string') continue;
    const other = taken.get(entry.resource);
    if (other === undefined) taken.set(entry.resource, name);
    else report({ path: ['credentials', name, 'resource'], message: `this resource is that of ${other} already` });
  }
}
