import type { Fault } from '../../src/lib/fault.ts';
import type { Identity } from '../../src/lib/identity.ts';
import type { IssuerShape } from '../../src/lib/issuer-shape.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import { compilePolicy, type PolicyInput } from '../../src/policy/compile.ts';
import type { Decision, Policy } from '../../src/policy/policy.ts';

export const shapes: Record<string, IssuerShape> = {
  ci: {
    preset: 'github-actions',
    generic: false,
    members: {
      repository: { type: 'string', prefer: 'repository_id' },
      repository_id: { type: 'string', immutable: true },
      subject: { type: 'string' },
      event_name: { type: 'string' },
      protected: { type: 'boolean' },
      run: { type: 'number' },
    },
    requireNamed: { event_name: ['pull_request'] },
  },
  any: { preset: 'generic', generic: true, members: {} },
};

export const base = {
  issuers: { ci: { preset: 'github-actions' }, any: { issuer: 'https://issuer.example' } },
  credentials: {
    'orders-db': { kind: 'postgres', admin: { store: 'hub', name: 'admin' } },
    'stripe-key': { kind: 'secret', store: 'vault', name: 'stripe' },
  },
  roles: { checkout: ['orders-db', 'stripe-key'], auditor: { audit: 'read' } },
  stores: ['hub', 'vault'],
} satisfies PolicyInput;

type Entry = Record<string, unknown>;

/** A grant of `orders-db` to one repository, with what a test changes. */
export const grant = (changes: Entry = {}): Entry => ({
  name: 'deploys',
  identity: { issuer: 'ci', repository_id: '42' },
  may: ['orders-db'],
  ttl: '10m',
  ...changes,
});

export async function faultsOf(changes: Partial<PolicyInput>): Promise<readonly Fault[]> {
  return (await compilePolicy({ ...base, ...changes }, shapes)).faults;
}

export const grantFaults = (...grants: unknown[]) => faultsOf({ grants });

export async function policyOf(...grants: unknown[]): Promise<Policy> {
  const { policy, faults } = await compilePolicy({ ...base, grants }, shapes);
  if (policy === undefined) throw new Error(JSON.stringify(faults));
  return policy;
}

export function ciIdentity(members: Identity['members'] = { repository_id: '42' }, claims: JsonObject = {}): Identity {
  const name = 'ci:acme/shop@main';
  return { issuer: 'ci', iss: 'https://ci.example', subject: 'repo:acme/shop', claims, name, members, disclosed: {} };
}

export function anyIdentity(subject: string, claims: JsonObject = {}): Identity {
  return { issuer: 'any', iss: 'https://issuer.example', subject, claims, name: 'any:x', members: {}, disclosed: {} };
}

/** `allow`, or the reason of the denial. */
export function outcome(decision: Decision): string {
  return decision.allow ? 'allow' : decision.reason;
}
