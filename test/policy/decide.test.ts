import { describe, expect, test } from 'vitest';
import type { Lockdown } from '../../src/lib/lockdown.ts';
import { anyIdentity, ciIdentity, grant, outcome, policyOf } from './fixtures.ts';

const now = Date.parse('2026-11-22T12:00:00Z');

describe('deciding', () => {
  test('of several grants that match, the first in the file is the one', async () => {
    const policy = await policyOf(
      grant({ name: 'other', identity: { issuer: 'ci', repository_id: '7' } }),
      grant({ name: 'by-pattern', identity: { issuer: 'ci', repository_id: '42', subject: 'repo:*' }, ttl: '5m' }),
      grant({ name: 'by-id', ttl: '1h' }),
      grant({ name: 'by-run', identity: { issuer: 'ci', run: 1 }, ttl: '2h' }),
    );
    const members = { repository_id: '42', run: 1 };
    const decide = (more: object) => policy.decide(ciIdentity({ ...members, ...more }), 'orders-db', [], now);
    expect(decide({ subject: 'repo:acme' })).toMatchObject({ allow: true, grant: 'by-pattern', terms: { ttl: 300 } });
    expect(decide({ subject: 'repo' })).toMatchObject({ allow: true, grant: 'by-id', terms: { ttl: 3600 } });
    expect(decide({ repository_id: '8' })).toMatchObject({ allow: true, grant: 'by-run', terms: { ttl: 7200 } });
  });

  test('the first wins over one found later by other members', async () => {
    const policy = await policyOf(
      grant({ name: 'g0', identity: { issuer: 'ci', repository_id: '42', subject: 'other:*' } }),
      grant({ name: 'g1', identity: { issuer: 'ci', run: 9 } }),
      grant({ name: 'g2' }),
      grant({ name: 'g3', identity: { issuer: 'ci', run: 1 } }),
    );
    const identity = ciIdentity({ repository_id: '42', run: 1, subject: 'repo:acme' });
    expect(policy.decide(identity, 'orders-db', [], now)).toMatchObject({ grant: 'g2' });
  });

  test('the terms are what the grant says, in seconds', async () => {
    const policy = await policyOf(
      grant({ ttl: '10m', maxTtl: '1h', once: true, tokenLife: true, claims: ['sub', 'a.b'] }),
    );
    expect(policy.decide(ciIdentity(), 'orders-db', [], now)).toEqual({
      allow: true,
      grant: 'deploys',
      role: undefined,
      terms: { ttl: 600, maxTtl: 3600, once: true, tokenLife: true, claims: ['sub', 'a.b'] },
    });
  });

  test('a credential that does not exist and one that is not granted differ only in the reason', async () => {
    const policy = await policyOf(grant());
    expect(policy.decide(ciIdentity(), 'nowhere', [], now)).toEqual({ allow: false, reason: 'no_credential' });
    expect(policy.decide(ciIdentity(), 'stripe-key', [], now)).toEqual({ allow: false, reason: 'no_grant' });
    expect(policy.decide(ciIdentity(), 'constructor', [], now)).toEqual({ allow: false, reason: 'no_credential' });
    const explained = ['nowhere', 'stripe-key'].map((name) => policy.explain(ciIdentity(), name, [], now));
    expect(explained[0]).toEqual(explained[1]);
  });

  test('the same member values under another issuer match nothing', async () => {
    const policy = await policyOf(grant());
    for (const issuer of ['any', 'ci2', 'CI', '', '__proto__']) {
      expect(outcome(policy.decide({ ...ciIdentity(), issuer }, 'orders-db', [], now))).toBe('no_grant');
    }
  });

  test('a permission comes with the role that gives it', async () => {
    const policy = await policyOf(grant({ may: ['orders-db', 'auditor'] }));
    expect(policy.permits(ciIdentity(), 'audit:read', [], now)).toMatchObject({
      allow: true,
      role: { name: 'auditor' },
    });
    expect(outcome(policy.permits(ciIdentity(), 'audit:trace', [], now))).toBe('no_grant');
    expect(outcome(policy.permits(ciIdentity(), 'ledger:append', [], now))).toBe('no_grant');
    expect(outcome(policy.permits(ciIdentity({ repository_id: '43' }), 'audit:read', [], now))).toBe('no_grant');
  });
});

describe('comparing', () => {
  const decide = async (value: unknown, expected: unknown) => {
    const policy = await policyOf(grant({ identity: { issuer: 'any', claims: { x: expected } } }));
    return outcome(policy.decide(anyIdentity('s', { x: value } as never), 'orders-db', [], now));
  };

  test.each([
    ['true', true],
    [true, 'true'],
    [1, '1'],
    ['1', 1],
    [1, true],
    [0, false],
    [['1'], '1'],
    [['x'], 'x'],
    [null, 'null'],
    [{}, '[object Object]'],
    [1.0000000000000002, 1],
  ])('the claim %j is not %j', async (value, expected) => {
    expect(await decide(value, expected)).toBe('no_grant');
    expect(await decide(expected, expected)).toBe('allow');
  });

  test.each([
    ['acme', 'Acme'],
    ['acme', 'acme '],
    ['acme', 'acme\n'],
    ['acme', '\u0430cme'],
    ['acme', '\uff41cme'],
    ['acme', 'acme\u200b'],
    ['acme', 'acme\u202e'],
    ['acme', 'acme\0'],
    ['caf\u00e9', 'cafe\u0301'],
    ['\u212b', '\u00c5'],
  ])('%j does not match its look-alike %j', async (expected, value) => {
    expect(await decide(value, expected)).toBe('no_grant');
    expect(await decide(expected, expected)).toBe('allow');
  });

  test.each([
    ['repo:acme/*', 'repo:acme/shop', true],
    ['repo:acme/*', 'repo:acme/shop/sub', false],
    ['repo:acme/*', 'repo:acme/shop:ref', false],
    ['repo:acme/*', 'repo:acme/', false],
    ['repo:acme/*', 'repo:acme', false],
    ['repo:acme/*', 'repo:acme-evil/shop', false],
    ['repo:acme/*', 'xrepo:acme/shop', false],
    ['repo:acme/*', 'repo:acme/shop\nrepo:acme/shop', false],
    ['repo:acme/*:ref', 'repo:acme/shop:ref', true],
    ['repo:acme/*:ref', 'repo:acme/a:b:ref', false],
    ['repo:acme/*:ref', 'repo:acme/shop/ref', false],
    ['repo:acme/app', 'repo:acme/app-evil', false],
    ['repo:acme/a|b', 'b', false],
    ['repo:acme/.*', 'repo:acme/.*', undefined],
  ])('%s on %j', async (pattern, value, matches) => {
    if (matches === undefined) await expect(decide(value, pattern)).rejects.toThrow();
    else expect(await decide(value, pattern)).toBe(matches ? 'allow' : 'no_grant');
  });

  test.each(['*', 'acme/*', 'acme*', '+', '**', '/', '..', '%2e', '(a+)+', '{{x}}'])(
    'a claim %j never acts as a pattern',
    async (value) => {
      expect(await decide(value, 'acme/shop')).toBe('no_grant');
    },
  );

  test('a long hostile value against a long pattern ends in one walk, where backtracking would not end', async () => {
    expect(await decide(`repo:${'a/'.repeat(32_000)}`, `repo:${'*/'.repeat(500)}x`)).toBe('no_grant');
    expect(await decide(`repo:${'a/'.repeat(500)}y`, `repo:${'*/'.repeat(500)}x`)).toBe('no_grant');
    expect(await decide(`repo:${'a/'.repeat(500)}x`, `repo:${'*/'.repeat(500)}x`)).toBe('allow');
  });

  test('a path finds an own claim of that name before it is split at dots', async () => {
    const policy = await policyOf(grant({ identity: { issuer: 'any', claims: { 'kubernetes.io.pod.name': 'web' } } }));
    const decide = (claims: string) =>
      outcome(policy.decide(anyIdentity('s', JSON.parse(claims)), 'orders-db', [], now));
    expect(decide('{"kubernetes.io":{"pod":{"name":"web"}}}')).toBe('allow');
    expect(decide('{"kubernetes":{"io":{"pod":{"name":"web"}}}}')).toBe('allow');
    expect(decide('{"kubernetes.io.pod.name":"web"}')).toBe('allow');
    expect(decide('{"kubernetes.io.pod.name":"db","kubernetes.io":{"pod":{"name":"web"}}}')).toBe('no_grant');
    expect(decide('{"kubernetes.io":{"pod":["web"]}}')).toBe('no_grant');
    expect(decide('{"kubernetes.io":"web"}')).toBe('no_grant');
  });

  test('inherited properties are no claims', async () => {
    for (const path of ['constructor.name', '__proto__.x', 'toString.length', 'x.length']) {
      const policy = await policyOf(grant({ identity: { issuer: 'any', claims: { [path]: 'Object' } } }));
      expect(outcome(policy.decide(anyIdentity('s', { x: 'Object' }), 'orders-db', [], now))).toBe('no_grant');
    }
  });
});

describe('a value that must be named', () => {
  const pull = { repository_id: '42', event_name: 'pull_request' };

  test('matches no grant that does not name the member', async () => {
    const policy = await policyOf(grant());
    expect(outcome(policy.decide(ciIdentity(pull), 'orders-db', [], now))).toBe('no_grant');
    expect(outcome(policy.decide(ciIdentity({ ...pull, event_name: 'push' }), 'orders-db', [], now))).toBe('allow');
    expect(policy.explain(ciIdentity(pull), 'orders-db', [], now).nearest).toEqual([
      { grant: 'deploys', member: 'event_name' },
    ]);
  });

  test('matches a grant that does', async () => {
    const policy = await policyOf(grant({ identity: { issuer: 'ci', ...pull } }));
    expect(outcome(policy.decide(ciIdentity(pull), 'orders-db', [], now))).toBe('allow');
  });
});

describe('explaining', () => {
  test('names the nearest grants first, each by its first failing member in the order written, never a value', async () => {
    const near = (name: string, identity: object, more: object = {}) =>
      grant({ name, identity: { issuer: 'ci', ...identity }, ...more });
    const policy = await policyOf(
      near('none', { repository_id: '1', run: 2 }),
      near('one', { run: 1, repository_id: '1', subject: 'x' }),
      near('elsewhere', { repository_id: '42' }, { may: ['stripe-key'] }),
      near('two', { subject: 'x', repository_id: '42', run: 1 }),
      near('all-but-when', { repository_id: '42', run: 1, protected: true }, { when: 'subject == "secret-value"' }),
      near('one-again', { repository: 'secret-value', run: 1 }),
      near('last', { repository_id: '9' }),
    );
    const explained = policy.explain(
      ciIdentity({ repository_id: '42', run: 1, protected: true }),
      'orders-db',
      [],
      now,
    );
    expect(explained).toEqual({
      decision: 'deny',
      nearest: [
        { grant: 'all-but-when', member: 'when' },
        { grant: 'two', member: 'subject' },
        { grant: 'one', member: 'repository_id' },
        { grant: 'one-again', member: 'repository' },
        { grant: 'none', member: 'repository_id' },
      ],
    });
    expect(JSON.stringify(explained)).not.toContain('secret-value');
  });

  test('says what was compared where values are asked for, but nothing of a condition or of a claim with members', async () => {
    const policy = await policyOf(
      grant({ name: 'ref', identity: { issuer: 'ci', repository_id: '42', run: 2 } }),
      grant({ name: 'absent', identity: { issuer: 'ci', repository: 'acme/*' } }),
      grant({ name: 'when', identity: { issuer: 'ci', repository_id: '42' }, when: 'subject == "secret-value"' }),
    );
    const { nearest } = policy.explain(ciIdentity({ repository_id: '42', run: 1 }), 'orders-db', [], now, true);
    expect(nearest).toContainEqual({ grant: 'ref', member: 'run', expected: 2, actual: 1 });
    expect(nearest).toContainEqual({ grant: 'absent', member: 'repository', expected: 'acme/*' });
    expect(nearest).toContainEqual({ grant: 'when', member: 'when' });
  });

  test('says which grant allows', async () => {
    const policy = await policyOf(grant());
    const explained = policy.explain(ciIdentity(), 'orders-db', [], now);
    expect(explained).toEqual({ decision: 'allow', grant: 'deploys', nearest: [] });
  });
});

describe('a pinned key', () => {
  const sealTo = 'A'.repeat(43);

  test('is one of the terms, and tries no grant further down', async () => {
    const policy = await policyOf(grant({ sealTo }), grant({ name: 'open' }));
    expect(policy.decide(ciIdentity(), 'orders-db', [], now)).toMatchObject({ grant: 'deploys', terms: { sealTo } });
  });

  test('is what explain names, and shows only where values are asked for', async () => {
    const policy = await policyOf(grant({ sealTo }), grant({ name: 'open' }));
    const near = { grant: 'deploys', member: 'sealTo' };
    const explain = (values: boolean) => policy.explain(ciIdentity(), 'orders-db', [], now, values);
    expect(explain(false)).toEqual({ decision: 'deny', nearest: [near] });
    expect(explain(true)).toEqual({ decision: 'deny', nearest: [{ ...near, expected: sealTo }] });
  });
});

describe('a lockdown', () => {
  const lock = (match: Lockdown['match'], until?: string): Lockdown[] => [
    { id: '01', epoch: 1, match, ...(until === undefined ? {} : { until }) },
  ];
  const policy = policyOf(
    grant({ may: ['checkout', 'auditor'] }),
    grant({ name: 'second', may: ['checkout', 'auditor'] }),
  );

  test.each<[string, Lockdown['match'], string]>([
    ['everything', {}, 'lockdown'],
    ['the issuer', { issuer: 'ci' }, 'lockdown'],
    ['another issuer', { issuer: 'any' }, 'allow'],
    ['the identity', { identity: 'ci:acme/shop@main' }, 'lockdown'],
    ['the identity by a segment', { identity: 'ci:acme/*' }, 'lockdown'],
    ['a part of the identity', { identity: 'ci:acme' }, 'allow'],
    ['the grant, though a second would allow', { grant: 'deploys' }, 'lockdown'],
    ['a grant further down', { grant: 'second' }, 'allow'],
    ['the role', { role: 'checkout' }, 'lockdown'],
    ['a role that gives something else', { role: 'auditor' }, 'allow'],
    ['the credential', { credential: 'orders-db' }, 'lockdown'],
    ['another credential', { credential: 'stripe-key' }, 'allow'],
    ['the store behind it', { store: 'hub' }, 'lockdown'],
    ['another store', { store: 'vault' }, 'allow'],
    ['all of them', { issuer: 'ci', grant: 'deploys', store: 'hub' }, 'lockdown'],
    ['some of them only', { issuer: 'ci', grant: 'second' }, 'allow'],
  ])('of %s', async (_, match, expected) => {
    expect(outcome((await policy).decide(ciIdentity(), 'orders-db', lock(match), now))).toBe(expected);
    const explained = (await policy).explain(ciIdentity(), 'orders-db', lock(match), now);
    expect(explained.nearest).toEqual(expected === 'allow' ? [] : [{ grant: 'deploys', member: 'lockdown' }]);
  });

  test('ends at its until, to the millisecond', async () => {
    const decide = async (at: number) =>
      outcome((await policy).decide(ciIdentity(), 'orders-db', lock({}, '2026-11-22T12:00:00Z'), at));
    expect(await decide(now - 1)).toBe('lockdown');
    expect(await decide(now)).toBe('allow');
  });

  test('with an until nobody can read stays in force', async () => {
    expect(outcome((await policy).decide(ciIdentity(), 'orders-db', lock({}, 'tomorrow'), now))).toBe('lockdown');
  });

  test('stops a permission when it names who, and leaves it when it names what', async () => {
    const permits = async (match: Lockdown['match']) =>
      outcome((await policy).permits(ciIdentity(), 'audit:read', lock(match), now));
    for (const match of [{ issuer: 'ci' }, { identity: 'ci:acme/*' }, { grant: 'deploys' }, { role: 'auditor' }]) {
      expect(await permits(match), JSON.stringify(match)).toBe('lockdown');
    }
    for (const match of [{}, { credential: 'orders-db' }, { store: 'hub' }, { role: 'checkout' }]) {
      expect(await permits(match), JSON.stringify(match)).toBe('allow');
    }
  });
});

test('a grant with max says so in its terms', async () => {
  const policy = await policyOf(grant({ max: 3 }));
  expect(policy.decide(ciIdentity(), 'orders-db', [], now)).toMatchObject({ terms: { max: 3 } });
});
