import { presetOf, presets } from '../../identity/index.ts';
import type { Fault } from '../../lib/fault.ts';
import type { IssuerShape } from '../../lib/issuer-shape.ts';
import type * as s from '../../lib/schema/index.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { nearest } from '../../lib/suggest.ts';
import { compilePolicy, type PolicyInput } from '../../policy/compile.ts';
import type { Policy } from '../../policy/policy.ts';
import { grantSchema, roleSchema } from '../../policy/schema.ts';
import type { Config } from '../config.ts';
import { typeName, unknownName } from '../text/issues.ts';
import { checkNamed, checkPlugIn, checkShape, meant, type Report, salvage } from './entries.ts';

/** Checks one issuer by its preset, and notes for the policy what its tokens say. */
export function checkIssuer(
  entry: Json,
  path: [string, string],
  shapes: Record<string, IssuerShape>,
  report: Report,
): JsonObject | undefined {
  if (!isJsonObject(entry)) {
    report({
      path,
      message: `expected a mapping, got ${typeName(entry)}`,
      hint: 'such as { preset: github-actions, ... }',
    });
    return undefined;
  }
  if (path[1] === 'self')
    report({ path, name: true, message: 'self stands for Hallpass itself', hint: 'choose another name' });
  const preset = presetOf(entry);
  if (preset === undefined) {
    const names = presets.map(({ name }) => name);
    const message = `there is no preset ${JSON.stringify(entry.preset)}`;
    report({ path: [...path, 'preset'], message, hint: meant(String(entry.preset), names) });
    return undefined;
  }
  const { narrow, ...shape } = preset.shape;
  // An issuer of one GitLab project has no other code.
  shapes[path[1]] = narrow === undefined || entry.project !== undefined ? shape : preset.shape;
  return checkPlugIn(preset, entry, path, report) as JsonObject | undefined;
}

/** A grant as it was meant where `issuer` is mistyped: its members are checked by its issuer, so none else would be told. */
function withIssuer(grant: Json, path: Fault['path'], report: Report): Json {
  const identity = isJsonObject(grant) ? grant.identity : undefined;
  if (!isJsonObject(grant) || !isJsonObject(identity) || Object.hasOwn(identity, 'issuer')) return grant;
  const mistyped = Object.keys(identity).find((key) => nearest(key, ['issuer']) !== undefined);
  if (mistyped === undefined) return grant;
  report(unknownName([...path, 'identity', mistyped], ['issuer']));
  const { [mistyped]: issuer = '', ...members } = identity;
  return { ...grant, identity: { issuer, ...members } };
}

/** Checks roles and grants, and compiles the policy; undefined when it cannot be. */
export async function checkPolicy(
  value: JsonObject,
  input: Config['policyInput'],
  { stores, openedBy }: Required<Pick<PolicyInput, 'stores' | 'openedBy'>>,
  shapes: Readonly<Record<string, IssuerShape>>,
  report: Report,
): Promise<Policy | undefined> {
  const broken = new Set<string>();
  // What is sound of a wrong entry is compiled all the same, so that the names in it are checked too.
  const sound = (schema: s.Schema, entry: Json, path: Fault['path']): Json => {
    if (checkShape(schema, entry, path, report) !== undefined) return entry;
    broken.add(path.join('\0'));
    return (salvage(schema, entry) ?? entry) as Json;
  };
  const roles = checkNamed(value.roles, 'roles', report, (entry, path) => sound(roleSchema, entry, path));
  if (value.grants !== undefined && !Array.isArray(value.grants)) {
    report({ path: ['grants'], message: `expected a list, got ${typeName(value.grants)}` });
  }
  const grants = (input.grants ?? []).map((grant, at) => {
    const path = ['grants', at];
    const meant = withIssuer(grant, path, report);
    if (meant !== grant) broken.add(path.join('\0'));
    if (checkShape(grantSchema, meant, path, report) === undefined) broken.add(path.join('\0'));
    return meant;
  });
  for (const [section, what] of [
    ['issuers', 'nobody can prove who they are'],
    ['grants', 'nobody gets anything'],
  ] as const) {
    if (Object.keys(input[section] ?? {}).length > 0) continue;
    report({ path: [section], warning: true, message: `there are no ${section}: ${what}` });
  }
  const whole = broken.size === 0 ? input : { ...input, roles, grants };
  const { policy, faults } = await compilePolicy({ ...whole, stores, openedBy }, shapes);
  // What is wrong inside an entry was said in detail above.
  report(...faults.filter(({ path }) => !broken.has(path.join('\0'))));
  return policy;
}
