import type { Fault } from '../lib/fault.ts';
import type { IssuerShape, Member } from '../lib/issuer-shape.ts';
import { isSegmentPattern } from '../lib/segments.ts';
import { nearest } from '../lib/suggest.ts';
import type { Condition, Scalar } from './condition.ts';

type Path = readonly (string | number)[];

export interface Binding {
  readonly conditions: readonly Condition[];
  readonly faults: readonly Fault[];
}

/**
 * Compiles a grant's `identity` against what its issuer's tokens carry. Deny by default: a grant that binds nothing
 * but the issuer is an error, since it would match every workload there.
 */
export function compileBinding(identity: Readonly<Record<string, unknown>>, shape: IssuerShape, at: Path): Binding {
  const faults: Fault[] = [];
  const conditions = shape.generic
    ? genericConditions(identity, at, faults)
    : memberConditions(identity, shape, at, faults);
  if (conditions.every(isOfEverybody) && faults.length === 0) {
    const example = shape.generic ? 'subject or claims' : Object.keys(shape.members).slice(0, 4).join(', ');
    faults.push({
      path: at,
      message: 'would match every workload of this issuer',
      hint: `name at least one member: ${example}`,
    });
  }
  if (faults.length === 0 && !shape.generic) warnOfRecyclableNames(conditions, shape, at, faults);
  return { conditions, faults };
}

/** Both are the same in every token of an issuer that verifies: they tell no workload from another. */
const isOfEverybody = ({ from, key }: Condition): boolean => from === 'claim' && (key === 'iss' || key === 'aud');

function memberConditions(identity: Readonly<Record<string, unknown>>, shape: IssuerShape, at: Path, faults: Fault[]) {
  const conditions: Condition[] = [];
  for (const [key, value] of Object.entries(identity)) {
    if (key === 'issuer') continue;
    const path = [...at, key];
    const member = memberOf(shape, key);
    if (member === undefined) faults.push(unknownMember(key, Object.keys(shape.members), shape.preset, path));
    else if (typeof value !== member.type) faults.push({ path, message: wrongType(key, member.type, value) });
    else conditions.push(condition({ from: 'member', key }, key, value as Scalar, path, faults));
  }
  return conditions;
}

function genericConditions(identity: Readonly<Record<string, unknown>>, at: Path, faults: Fault[]) {
  const conditions: Condition[] = [];
  for (const [key, value] of Object.entries(identity)) {
    const path = [...at, key];
    if (key === 'issuer') continue;
    if (key === 'claims') {
      for (const [claim, expected] of Object.entries(value as Record<string, Scalar>)) {
        const source = { from: 'claim', key: claim } as const;
        conditions.push(condition(source, `claims.${claim}`, expected, [...path, claim], faults));
      }
    } else if (key !== 'subject') faults.push(unknownMember(key, ['subject', 'claims'], 'generic', path));
    else if (typeof value !== 'string') faults.push({ path, message: wrongType(key, 'string', value) });
    else conditions.push(condition({ from: 'subject', key }, key, value, path, faults));
  }
  return conditions;
}

// YAML makes a number of an id, and a string of a number in quotes.
function wrongType(key: string, wanted: Member['type'], value: unknown): string {
  const quotes =
    wanted === 'string' ? '; write it in quotes' : typeof value === 'string' ? '; write it without quotes' : '';
  return `${key} must be a ${wanted}${quotes}`;
}

function condition(
  source: Pick<Condition, 'from' | 'key'>,
  label: string,
  value: Scalar,
  path: Path,
  faults: Fault[],
): Condition {
  const pattern = typeof value === 'string' && value.includes('*');
  if (pattern && !isSegmentPattern(value)) {
    faults.push({
      path,
      message: '* stands for one whole segment between : or /, and never for the first',
      hint: 'a longer or shorter match needs a grant of its own',
    });
  }
  // Written out: freezing an object made by spreading is some twenty times slower in V8.
  return Object.freeze({ from: source.from, key: source.key, label, value, pattern });
}

const memberOf = (shape: IssuerShape, key: string): Member | undefined =>
  Object.hasOwn(shape.members, key) ? shape.members[key] : undefined;

function unknownMember(key: string, known: readonly string[], preset: string, path: Path): Fault {
  const near = nearest(key, known);
  const hint = near === undefined ? `members: ${known.join(', ')}` : `did you mean ${near}?`;
  return { path, message: `unknown member ${key} for ${preset}`, hint };
}

/** A grant of a branch or an environment alone is one for everybody in the organization who can make one of that name. */
export function breadthFault(conditions: readonly Condition[], { narrow }: IssuerShape, at: Path): Fault | undefined {
  const best = narrow?.[0];
  if (best === undefined || conditions.length === 0 || conditions.some(({ key }) => narrow?.includes(key)))
    return undefined;
  const message = 'says nothing of whose code it is: all of the organization can have what fits';
  return { path: at, message, hint: `name ${best} as well`, warning: true };
}

/** One for each name that is bound without the id that is not given away; a pattern, which has no one id, by any id. */
function warnOfRecyclableNames(conditions: readonly Condition[], shape: IssuerShape, at: Path, faults: Fault[]) {
  const bound = new Set(conditions.map(({ key }) => key));
  const anyId = conditions.some(({ key }) => memberOf(shape, key)?.immutable);
  for (const { key, pattern } of conditions) {
    const prefer = memberOf(shape, key)?.prefer;
    if (prefer === undefined || bound.has(prefer) || (pattern && anyId)) continue;
    faults.push({
      path: [...at, key],
      message: `${key} can be given to somebody else later`,
      hint: `bind ${prefer} as well`,
      warning: true,
    });
  }
}
