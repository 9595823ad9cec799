import type { Identity } from '../lib/identity.ts';
import type { IssuerShape } from '../lib/issuer-shape.ts';
import { type Condition, holds } from './condition.ts';
import type { Grant } from './grants.ts';

/** Members whose value is one that a grant must name itself to match (IssuerShape.requireNamed), for one identity. */
export type MustName = readonly string[];

const nothing: MustName = Object.freeze([]);

export function mustNameOf(identity: Identity, shape: IssuerShape | undefined): MustName {
  let must: string[] | undefined;
  for (const member in shape?.requireNamed) {
    const values: readonly unknown[] = shape.requireNamed[member] ?? [];
    if (!Object.hasOwn(identity.members, member) || !values.includes(identity.members[member])) continue;
    must ??= [];
    must.push(member);
  }
  return must ?? nothing;
}

/** What is left to look at once the index has found a grant's exact members to hold. */
export function passesRest(grant: Grant, identity: Identity, mustName: MustName): boolean {
  for (const condition of grant.patterns) if (!holds(condition, identity)) return false;
  return unnamed(grant, mustName) === undefined && (grant.when === undefined || grant.when(identity));
}

/** The first member of a grant, in the order written, that does not hold; `condition` where it is one of `identity`. */
export interface Failed {
  readonly label: string;
  readonly condition?: Condition;
}

/** How near a grant comes: how many members hold, and the first that does not. */
export function nearness(grant: Grant, identity: Identity, mustName: MustName): { held: number; failed?: Failed } {
  let held = 0;
  let failed: Failed | undefined;
  for (const condition of grant.conditions) {
    if (holds(condition, identity)) held++;
    else failed ??= { label: condition.label, condition };
  }
  const missing = unnamed(grant, mustName);
  if (failed === undefined && missing !== undefined) failed = { label: missing };
  if (failed === undefined && grant.when !== undefined && !grant.when(identity)) failed = { label: 'when' };
  return failed === undefined ? { held } : { held, failed };
}

function unnamed(grant: Grant, mustName: MustName): string | undefined {
  if (mustName.length === 0) return undefined;
  return mustName.find((member) => !grant.conditions.some(({ from, key }) => from === 'member' && key === member));
}
