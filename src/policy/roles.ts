import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import type { Names } from './names.ts';
import type { Permission, Role } from './policy.ts';
import { namePattern, type RoleEntry, roleSchema } from './schema.ts';

/** Compiles `roles`; a role with faults is still there, so that grants naming it are not faulted as well. */
export function compileRoles(
  entries: Readonly<Record<string, unknown>>,
  credentials: Names,
  stores: readonly string[],
  faults: Fault[],
): ReadonlyMap<string, Role> {
  const roles = new Map<string, Role>();
  const mintable = credentials.with(stores);
  for (const [name, entry] of Object.entries(entries)) {
    const path = ['roles', name];
    const parsed = s.safeParse(roleSchema, entry);
    if (!namePattern.test(name)) faults.push({ path, message: 'a name is 1 to 128 printable ASCII characters' });
    if (credentials.has(name)) {
      faults.push({ path, message: `${name} is a credential too`, hint: 'rename one: grants name both alike' });
    }
    if (!parsed.success) faults.push({ path, message: 'is not a role', hint: 'a list of credentials, or an object' });
    const role = compileRole(name, parsed.success ? parsed.data : []);
    roles.set(name, role);
    if (parsed.success) checkRole(role, parsed.data, path, credentials, mintable, faults);
  }
  return roles;
}

function compileRole(name: string, entry: RoleEntry): Role {
  const fields = Array.isArray(entry) ? { credentials: entry } : entry;
  const audit = fields.audit === undefined ? [] : [fields.audit].flat();
  const permissions: Permission[] = audit.map((right) => `audit:${right}` as const);
  for (const right of fields.ledger === undefined ? [] : [fields.ledger].flat()) permissions.push(`ledger:${right}`);
  if (fields.leases) permissions.push('leases:revoke');
  if (fields.secrets) permissions.push('secrets:rotate');
  if (fields.lockdown) permissions.push('lockdown:write');
  return Object.freeze({
    name,
    credentials: Object.freeze([...(fields.credentials ?? [])]),
    permissions: Object.freeze(permissions),
    mint: Object.freeze([...(fields.mint ?? [])]),
    ...(fields.writer === undefined ? {} : { writer: fields.writer }),
  });
}

function checkRole(
  role: Role,
  entry: RoleEntry,
  path: readonly string[],
  credentials: Names,
  mintable: Names,
  faults: Fault[],
): void {
  if (role.credentials.length + role.permissions.length === 0) faults.push({ path, message: 'gives nothing' });
  const list = Array.isArray(entry) ? path : [...path, 'credentials'];
  credentials.check(role.credentials, list, 'credential', faults);
  if ((role.mint.length > 0 || role.writer !== undefined) && !role.permissions.includes('ledger:append')) {
    faults.push({ path, message: 'mint and writer are for writers', hint: 'add ledger: append' });
  }
  mintable.check(role.mint, [...path, 'mint'], 'credential or store', faults);
}
