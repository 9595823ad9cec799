import { isJsonObject, type Json } from '../../lib/strict-json.ts';
import type { Report } from '../sections/entries.ts';
import type { Written } from './cross-checks.ts';

/** What a grant says of the credentials it gives; of a permission nothing is asked of it. */
const ofCredentials = ['maxTtl', 'once', 'tokenLife', 'sealTo', 'max'] as const;
/** What a sink does with records. */
const ofRecords = ['types', 'since', 'disclosures', 'batch', 'format', 'rotate'] as const;

/** Members that are right and do nothing where they stand: whoever wrote one counts on it. */
export function checkIdleMembers({ grants, roles, sinks }: Written, report: Report): void {
  for (const [at, grant] of grants.entries()) {
    if (!isJsonObject(grant) || !Array.isArray(grant.may) || grant.may.length === 0) continue;
    if (!grant.may.every((name) => givesNoCredential(roles, name))) continue;
    for (const member of ofCredentials.filter((name) => grant[name] !== undefined)) {
      const message = `${member} is about credentials, and this grant gives permissions only`;
      report({ path: ['grants', at, member], name: true, warning: true, message });
    }
  }
  for (const [name, sink] of Object.entries(sinks)) {
    if (!isJsonObject(sink) || sink.send !== 'checkpoints') continue;
    for (const member of ofRecords.filter((one) => sink[one] !== undefined)) {
      const message = `${member} is about records, and this sink is sent checkpoints`;
      report({ path: ['sinks', name, member], name: true, warning: true, message });
    }
  }
}

/** A role of permissions alone. */
function givesNoCredential(roles: Written['roles'], name: Json): boolean {
  const role = typeof name === 'string' && Object.hasOwn(roles, name) ? roles[name] : undefined;
  return isJsonObject(role) && role.credentials === undefined;
}
