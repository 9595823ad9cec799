import type { Identity } from '../lib/identity.ts';
import { readSource, type Source } from './condition.ts';
import type { Grant } from './grants.ts';
import type { Decision, Role } from './policy.ts';

/** One way to something: a grant, the role it goes by if any, and the answer to give, made once. */
export interface Route {
  readonly grant: Grant;
  readonly role?: Role;
  readonly decision: Decision & { readonly allow: true };
}

/** All routes of one issuer's identities to one credential or permission, in the order of the file. */
export interface Routes {
  readonly all: readonly Route[];
  /** The first route in the file whose exact conditions hold and that passes `test`, which looks at the rest. */
  first(identity: Identity, test: (route: Route) => boolean): Route | undefined;
}

/** Grants that bind the same set of members exactly: one lookup per member finds those that hold. */
interface Group {
  readonly sources: readonly Source[];
  readonly root: Branch;
  /** Place in the file of the group's first grant. */
  readonly order: number;
}

type Branch = Map<unknown, Branch> | Route[];

export interface RoutesBuilder extends Routes {
  add(route: Route): void;
}

/**
 * An index whose cost grows with the number of different sets of members that grants bind exactly, and with the
 * grants that share all their exact values, not with the number of grants.
 */
export function newRoutes(): RoutesBuilder {
  const all: Route[] = [];
  const groups = new Map<string, Group>();
  return {
    all,
    add(route) {
      all.push(route);
      const exact = route.grant.conditions.filter(({ pattern }) => !pattern).toSorted(byLabel);
      const id = JSON.stringify(exact.map(({ from, key }) => [from, key]));
      let group = groups.get(id);
      if (group === undefined) {
        group = { sources: exact, root: exact.length === 0 ? [] : new Map(), order: route.grant.order };
        groups.set(id, group);
      }
      const leaf = exact.reduce<Branch>(
        (branch, { value }, depth) => grow(branch, value, depth === exact.length - 1),
        group.root,
      );
      (leaf as Route[]).push(route);
    },
    first(identity, test) {
      let best: Route | undefined;
      for (const group of groups.values()) {
        if (best !== undefined && group.order > best.grant.order) break;
        best = firstIn(leafFor(group, identity), best, test);
      }
      return best;
    },
  };
}

const byLabel = (a: { label: string }, b: { label: string }) => (a.label < b.label ? -1 : 1);

function grow(branch: Branch, value: unknown, last: boolean): Branch {
  const map = branch as Map<unknown, Branch>;
  let next = map.get(value);
  if (next === undefined) {
    next = last ? [] : new Map();
    map.set(value, next);
  }
  return next;
}

// A Map tells "1", 1 and true apart, as holds() does.
function leafFor(group: Group, identity: Identity): readonly Route[] {
  let branch: Branch | undefined = group.root;
  for (const source of group.sources) {
    branch = (branch as Map<unknown, Branch>).get(readSource(identity, source));
    if (branch === undefined) return [];
  }
  return branch as Route[];
}

function firstIn(leaf: readonly Route[], best: Route | undefined, test: (route: Route) => boolean): Route | undefined {
  for (const route of leaf) {
    if (best !== undefined && route.grant.order > best.grant.order) return best;
    if (test(route)) return route;
  }
  return best;
}
