import { describe, expect, test } from 'vitest';
import { sha256, toBase64Url } from '../../src/lib/bytes.ts';
import { canonicalJson } from '../../src/lib/canonical-json.ts';
import type { IssuerShape } from '../../src/lib/issuer-shape.ts';
import { compilePolicy } from '../../src/policy/compile.ts';
import { base, ciIdentity, faultsOf, grant, grantFaults, outcome, policyOf, shapes } from './fixtures.ts';

describe('names', () => {
  test('an unknown credential is a fault with the one that was meant', async () => {
    expect(await grantFaults(grant(), grant({ name: 'second', may: ['stripe-key', 'order-db'] }))).toEqual([
      {
        path: ['grants', 1, 'may', 1],
        message: 'unknown credential or role order-db',
        hint: 'did you mean orders-db?',
      },
    ]);
  });

  test('an unknown issuer is a fault with the one that was meant', async () => {
    expect(await grantFaults(grant({ identity: { issuer: 'cl', repository_id: '42' } }))).toMatchObject([
      { path: ['grants', 0, 'identity', 'issuer'], message: 'unknown issuer cl', hint: 'did you mean ci?' },
    ]);
  });

  test('an unknown member is a fault with the one that was meant', async () => {
    expect(await grantFaults(grant({ identity: { issuer: 'ci', repositry_id: '42' } }))).toMatchObject([
      { path: ['grants', 0, 'identity', 'repositry_id'], hint: 'did you mean repository_id?' },
    ]);
  });

  test.each(['constructor', 'toString', '__proto__'])(
    'a member %s of no issuer is unknown, not inherited',
    async (key) => {
      const identity = JSON.parse(`{"issuer":"ci","repository_id":"42","${key}":"x"}`);
      expect(await grantFaults(grant({ identity }))).toMatchObject([{ path: ['grants', 0, 'identity', key] }]);
      expect(await grantFaults(grant({ identity: { issuer: key, repository_id: '42' } }))).toHaveLength(1);
      expect(await grantFaults(grant({ may: [key] }))).toHaveLength(1);
    },
  );

  test('two grants of one name are a fault', async () => {
    expect(await grantFaults(grant(), grant())).toMatchObject([{ path: ['grants', 1, 'name'] }]);
  });

  test('a role and a credential of one name are a fault', async () => {
    expect(await faultsOf({ roles: { 'orders-db': ['stripe-key'] } })).toMatchObject([
      { path: ['roles', 'orders-db'] },
    ]);
  });

  test('a role of unknown credentials is a fault, and a grant of that role is not a second one', async () => {
    const roles = { checkout: { credentials: ['orders-bd'], audit: 'read' } };
    expect(await faultsOf({ roles, grants: [grant({ may: ['checkout'] })] })).toMatchObject([
      { path: ['roles', 'checkout', 'credentials', 0], hint: 'did you mean orders-db?' },
    ]);
  });

  test('names are compared byte for byte, in whatever case or form they resemble another', async () => {
    for (const may of [
      'Orders-db',
      'ORDERS-DB',
      'orders-db ',
      ' orders-db',
      'orders\u2010db',
      'ord\u0435rs-db',
      'orders-db\n',
    ]) {
      expect(await grantFaults(grant({ may: [may] })), may).not.toEqual([]);
    }
  });

  test('mint names credentials and stores, of a writer only', async () => {
    const role = { ledger: 'append', mint: ['orders-db', 'hub'], writer: 'https://edge.example' };
    expect(await faultsOf({ roles: { edge: role } })).toEqual([]);
    expect(await faultsOf({ roles: { edge: { ...role, mint: ['hubb'] } } })).toMatchObject([
      { path: ['roles', 'edge', 'mint', 0], hint: 'did you mean hub?' },
    ]);
    expect(await faultsOf({ roles: { edge: { audit: 'read', mint: ['hub'] } } })).toMatchObject([
      { path: ['roles', 'edge'], hint: 'add ledger: append' },
    ]);
  });
});

describe('an empty condition denies when the config is loaded', () => {
  test.each([
    ['no members', { identity: { issuer: 'ci' } }],
    ['no members of a generic issuer', { identity: { issuer: 'any' } }],
    ['no members beside a when', { identity: { issuer: 'ci' }, when: 'claims.admin == true' }],
    ['empty claims of a generic issuer', { identity: { issuer: 'any', claims: {} } }],
    [
      'what every token of it says',
      { identity: { issuer: 'any', claims: { iss: 'https://a.test', aud: 'https://b.test' } } },
    ],
    ['an empty subject', { identity: { issuer: 'any', subject: '' } }],
    ['an empty member', { identity: { issuer: 'ci', repository_id: '' } }],
    ['an empty identity', { identity: {} }],
    ['no identity', { identity: undefined }],
    ['a null member', { identity: { issuer: 'ci', repository_id: null } }],
    ['a list of values', { identity: { issuer: 'ci', repository_id: ['42'] } }],
    ['an empty may', { may: [] }],
    ['an empty list of claims', { claims: [] }],
    ['an empty when', { when: '' }],
    ['a max of none', { max: 0 }],
    ['a max that is no whole number', { max: 1.5 }],
    ['a max that is a text', { max: '3' }],
    ['an empty key to seal to', { sealTo: '' }],
    ['a thumbprint cut short', { sealTo: 'A'.repeat(42) }],
    ['a thumbprint with bits too many', { sealTo: 'B'.repeat(43) }],
    ['a key in place of its thumbprint', { sealTo: { kty: 'EC' } }],
  ])('%s', async (_, changes) => {
    const { policy, faults } = await compilePolicy({ ...base, grants: [grant(changes)] }, shapes);
    expect(faults).toHaveLength(1);
    expect(policy).toBeUndefined();
  });

  test('a role that gives nothing', async () => {
    expect(await faultsOf({ roles: { idle: [] } })).toMatchObject([{ path: ['roles', 'idle'] }]);
    expect(await faultsOf({ roles: { idle: {} } })).toMatchObject([{ path: ['roles', 'idle'] }]);
  });
});

describe('types', () => {
  test.each([
    ['repository_id', 42, 'repository_id must be a string; write it in quotes'],
    ['protected', 'true', 'protected must be a boolean; write it without quotes'],
    ['protected', 1, 'protected must be a boolean'],
    ['run', '1', 'run must be a number; write it without quotes'],
  ])('%s: %j is refused: %s', async (key, value, message) => {
    const faults = await grantFaults(grant({ identity: { issuer: 'ci', [key]: value } }));
    expect(faults).toEqual([{ path: ['grants', 0, 'identity', key], message }]);
  });
});

describe('patterns', () => {
  test.each(['*', '*/shop', '*:x', 'acme*', 'acme/sh*', 'acme/**', 'acme/*x'])('%s is refused', async (repository) => {
    const identity = { issuer: 'ci', repository, repository_id: '42' };
    expect(await grantFaults(grant({ identity }))).toMatchObject([{ path: ['grants', 0, 'identity', 'repository'] }]);
    expect(await grantFaults(grant({ identity: { issuer: 'any', claims: { x: repository } } }))).toMatchObject([
      { path: ['grants', 0, 'identity', 'claims', 'x'] },
    ]);
  });
});

describe('durations', () => {
  test.each(['29s', '0s', '10', '10 m', '1.5h', '-5m', 'PT5M', '366d', '999999999d', 600])(
    '%j is refused',
    async (ttl) => {
      expect(await grantFaults(grant({ ttl }))).toHaveLength(1);
      expect(await grantFaults(grant({ maxTtl: ttl }))).toHaveLength(1);
    },
  );

  test('a grant of credentials needs a ttl, one of permissions only does not', async () => {
    const { ttl: _, ...endless } = grant();
    expect(await grantFaults(endless)).toMatchObject([
      { path: ['grants', 0, 'ttl'], message: 'the grant gives credentials, so it needs ttl' },
    ]);
    expect(await grantFaults({ ...endless, may: ['checkout'] })).toHaveLength(1);
    expect(await grantFaults({ ...endless, may: ['auditor'] })).toEqual([]);
  });

  test('what is wrong in an entry that is no grant is told beside it, and a missing ttl is not told twice', async () => {
    const { ttl: _, name: __, ...nameless } = grant({ may: ['strip-key'], when: 'claims.x ==' });
    expect((await grantFaults(nameless)).map(({ path }) => path.join('.'))).toEqual([
      'grants.0',
      'grants.0.when',
      'grants.0.may.0',
      'grants.0.ttl',
    ]);
    expect(await grantFaults({ ...nameless, when: 'true', may: ['stripe-key'], tll: '5m' })).toHaveLength(1);
  });

  test('a ttl longer than maxTtl is a fault', async () => {
    expect(await grantFaults(grant({ ttl: '1h', maxTtl: '59m' }))).toMatchObject([{ path: ['grants', 0, 'ttl'] }]);
    expect(await grantFaults(grant({ ttl: '1h', maxTtl: '60m' }))).toEqual([]);
  });
});

test('what only a later version enforces is refused, never ignored', async () => {
  for (const later of [{ sealTo: 'x' }, { most: 1 }, { once: false }, { ttl: '10m', TTL: '10m' }]) {
    expect(await grantFaults(grant(later)), JSON.stringify(later)).toHaveLength(1);
  }
});

test('binding only a name that can be given away is a warning, and the policy still loads', async () => {
  const weak = grant({ identity: { issuer: 'ci', repository: 'acme/shop' } });
  const { policy, faults } = await compilePolicy({ ...base, grants: [weak] }, shapes);
  expect(faults).toEqual([
    {
      path: ['grants', 0, 'identity', 'repository'],
      message: 'repository can be given to somebody else later',
      hint: 'bind repository_id as well',
      warning: true,
    },
  ]);
  expect(policy).toBeDefined();
  const strong = { issuer: 'ci', repository: 'acme/shop', repository_id: '42' };
  expect(await grantFaults(grant({ identity: strong }))).toEqual([]);
});

test('every fault is told, not the first', async () => {
  const grants = [grant({ may: ['x-1'] }), grant({ may: ['x-2'], ttl: '5s' }), grant({ identity: { issuer: 'zz' } })];
  expect((await grantFaults(...grants)).map(({ path }) => path.join('.'))).toEqual([
    'grants.0.may.0',
    'grants.1',
    'grants.1.name',
    'grants.1.may.0',
    'grants.2.name',
    'grants.2.identity.issuer',
  ]);
});

describe('the hash', () => {
  test('is SHA-256 of the RFC 8785 form of issuers, credentials, roles and grants as configured', async () => {
    const grants = [grant()];
    const { issuers, credentials, roles } = base;
    const text = canonicalJson({ issuers, credentials, roles, grants } as never);
    expect((await policyOf(...grants)).hash).toBe(`sha256:${toBase64Url(sha256(text))}`);
  });

  test('changes with each of the four and with nothing else', async () => {
    const hashOf = async (changes: object) =>
      (await compilePolicy({ ...base, grants: [grant()], ...changes }, shapes)).policy?.hash;
    const first = await hashOf({});
    expect(await hashOf({ stores: ['hub', 'vault', 'more'] })).toBe(first);
    const others = await Promise.all([
      hashOf({ issuers: { ...base.issuers, more: {} } }),
      hashOf({ credentials: { ...base.credentials, more: { kind: 'secret' } } }),
      hashOf({ roles: { ...base.roles, more: ['orders-db'] } }),
      hashOf({ grants: [grant({ ttl: '11m' })] }),
    ]);
    expect(new Set([first, ...others]).size).toBe(5);
  });

  test('a text that is not Unicode is a fault, not a crash', async () => {
    const { policy, faults } = await compilePolicy(
      { ...base, issuers: { ...base.issuers, x: { a: '\ud800' } } },
      shapes,
    );
    expect(faults).toHaveLength(1);
    expect(policy).toBeUndefined();
  });
});

describe('a compiled policy is a value', () => {
  test('changing the config afterwards changes no decision', async () => {
    const config = structuredClone({ ...base, grants: [grant({ may: ['checkout'] })] }) as never as {
      roles: { checkout: string[] };
      grants: { identity: Record<string, string>; ttl: string }[];
    };
    const { policy } = await compilePolicy(config as never, shapes);
    const before = structuredClone(policy?.decide(ciIdentity(), 'orders-db', [], 0));
    config.roles.checkout.length = 0;
    Object.assign(config.grants[0] as object, { identity: { issuer: 'ci', repository_id: '43' }, ttl: '7d' });
    expect(policy?.decide(ciIdentity(), 'orders-db', [], 0)).toEqual(before);
  });

  test('nothing it hands out can be changed', async () => {
    const policy = await policyOf(grant({ may: ['checkout'], claims: ['sub'] }));
    const decision = policy.decide(ciIdentity(), 'orders-db', [], 0);
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
    expect(outcome(decision)).toBe('allow');
    expect(frozen(decision)).toBe(true);
    expect(Object.isFrozen(policy)).toBe(true);
  });
});

test('a policy without roles and grants allows nothing', async () => {
  const { policy } = await compilePolicy({ issuers: base.issuers, credentials: base.credentials }, shapes);
  expect(policy?.decide(ciIdentity(), 'orders-db', [], 0)).toEqual({ allow: false, reason: 'no_grant' });
});

test('an issuer without a shape is granted nothing', async () => {
  const { policy } = await compilePolicy({ ...base, grants: [grant()] }, { any: shapes.any as never });
  expect(policy?.decide(ciIdentity(), 'orders-db', [], 0)).toEqual({ allow: false, reason: 'no_grant' });
});

describe('a grant of a preset whose tokens say whose code it is', () => {
  const narrow = { ci: { ...shapes.ci, narrow: ['repository_id', 'repository'] } as IssuerShape };
  const faults = async (changes: Record<string, unknown>) =>
    (await compilePolicy({ ...base, grants: [grant(changes)] }, { ...shapes, ...narrow })).faults;

  test('is warned of when it does not ask for that', async () => {
    expect(await faults({ identity: { issuer: 'ci', event_name: 'push' } })).toEqual([
      {
        path: ['grants', 0, 'identity'],
        message: 'says nothing of whose code it is: all of the organization can have what fits',
        hint: 'name repository_id as well',
        warning: true,
      },
    ]);
  });

  test.each([
    ['by its id', { identity: { issuer: 'ci', event_name: 'push', repository_id: '42' } }],
    ['by a pattern', { identity: { issuer: 'ci', repository: 'acme/*', repository_id: '42' } }],
    [
      'perhaps by a condition',
      { identity: { issuer: 'ci', event_name: 'push' }, when: 'claims.repository_id == "42"' },
    ],
  ])('is not, when it asks for it %s', async (_, changes) => {
    expect(await faults(changes)).toEqual([]);
  });

  test('is told of an error alone', async () => {
    expect(await faults({ identity: { issuer: 'ci', event_name: 5 } })).toHaveLength(1);
    expect(await faults({ identity: { issuer: 'ci' } })).toHaveLength(1);
  });
});
