import { describe, expect, it } from 'vitest';
import type { MintFacts, SignedCredential } from '../../src/credentials/kind.ts';
import { withClaims } from '../../src/lib/claims.ts';
import type { Mint } from '../../src/lib/mint.ts';
import { type JsonObject, parseStrictJsonObject } from '../../src/lib/strict-json.ts';
import {
  depsFor,
  describeKind,
  factsFor,
  faultsOf,
  hostileSubjects,
  identity,
  openKind,
  refusalOf,
  requestFor,
  workloadsIssuer,
} from '../contracts/kind.ts';

const entry = { kind: 'jwt', audience: 'https://api.partner.example' };
const open = async (more = {}) => (await openKind({ ...entry, ...more })) as SignedCredential;

describeKind('jwt', { members: ['token', 'tokenType'] }, async () => ({ entry, deps: depsFor() }));

describe('jwt', () => {
  it('has exactly the members signed that say who, for whom, when and which', async () => {
    const request = requestFor();
    const iat = Math.floor(request.now / 1000);
    expect((await (await open()).draft(request)).mint).toEqual({
      use: 'jwt',
      alg: 'ES256',
      claims: {
        iss: workloadsIssuer,
        aud: entry.audience,
        sub: 'ci:repo%3Aacme%2Fshop',
        iat,
        nbf: iat,
        exp: iat + 600,
        jti: request.id,
      },
    });
  });

  it.each(hostileSubjects)('gives %j a sub that no other subject has', async (subject) => {
    const { claims } = (await (await open()).draft(requestFor({ identity: { ...identity, subject } }))).mint;
    expect(claims?.sub).toMatch(/^ci:[A-Za-z0-9_.~%-]+$/);
    expect(decodeURIComponent(String(claims?.sub).slice(3))).toBe(subject);
  });

  it('fills templates from the identity', async () => {
    const credential = await open({
      subject: '{{issuer}}/{{ claims.kubernetes.io.pod.name }}',
      claims: {
        repo: '{{ claims.repository }}',
        who: '{{ name }} ({{ subject }})',
        run: '{{ claims.run }}',
        ok: true,
        level: 3,
        fixed: 'text',
      },
    });
    const claims = { ...identity.claims, run: 42, 'kubernetes.io': { pod: { name: 'a:b/c' } } };
    expect((await credential.draft(requestFor({ identity: { ...identity, claims } }))).mint.claims).toMatchObject({
      sub: 'ci/a%3Ab%2Fc',
      repo: 'acme/shop',
      who: 'ci%3Aacme%2Fshop (repo%3Aacme%2Fshop)',
      run: '42',
      ok: true,
      level: 3,
      fixed: 'text',
    });
    expect(credential.needs).toEqual(['kubernetes.io.pod.name', 'repository', 'run']);
  });

  it('never lets a value pass for a template', async () => {
    const claims = { repository: '{{ claims.secret }}', secret: 'canary' };
    const credential = await open({ claims: { r: '{{ claims.repository }}' } });
    const { claims: filled } = (await credential.draft(requestFor({ identity: { ...identity, claims } }))).mint;
    expect(filled?.r).toBe('{{ claims.secret }}');
  });

  it.each([undefined, '', null, {}, ['a'], 'line\nbreak', 'nul\0', '\u2028', '\ud800', 'x'.repeat(9000)])(
    'denies when a template names a claim that is %j',
    async (value) => {
      const claims = { ...identity.claims, team: value } as JsonObject;
      const credential = await open({ claims: { team: '{{ claims.team }}' } });
      const refusal = await refusalOf(async () => credential.draft(requestFor({ identity: { ...identity, claims } })));
      expect([refusal.code, refusal.reason]).toEqual(['denied', 'template']);
    },
  );

  // Two ids of 64 bits that JSON's numbers make one: what is signed for the one would be the other's.
  it.each(['9007199254740993', '-9007199254740993', '12345678901234567890', '1e21'])(
    'denies when a template names a whole number that lost its last digits: %s',
    async (digits) => {
      const claims = parseStrictJsonObject(`{ "team": "x", "account": ${digits} }`);
      const request = requestFor({ identity: { ...identity, claims } });
      const credential = await open({ subject: 'account:{{ claims.account }}' });
      expect(await refusalOf(async () => credential.draft(request))).toMatchObject({
        code: 'denied',
        reason: 'template',
      });
    },
  );

  it('takes whole numbers as far as they are exact', async () => {
    const claims = parseStrictJsonObject('{ "account": 9007199254740991 }');
    const credential = await open({ subject: 'account:{{ claims.account }}' });
    const { mint } = await credential.draft(requestFor({ identity: { ...identity, claims } }));
    expect(mint.claims?.sub).toBe('account:9007199254740991');
  });

  it('lives an hour at most unless the config says otherwise', async () => {
    expect((await open()).maxTtl).toBe(3600);
    expect((await open({ ttl: '5m' })).maxTtl).toBe(300);
  });

  it.each([
    { audience: '' },
    { audience: 'a b' },
    { audience: ['a'] },
    { subject: '' },
    { subject: '{{ claims }}' },
    { subject: '{{ secret }}' },
    { subject: '{{ issuer' },
    { subject: 'issuer }}' },
    { subject: '{{ {{ issuer }} }}' },
    { claims: { a: '{{ claims. }}' } },
    { claims: { a: null } },
    { claims: { a: { b: 'c' } } },
    ...['iss', 'aud', 'sub', 'iat', 'nbf', 'exp', 'jti'].map((name) => ({ claims: { [name]: 'mine' } })),
  ])('refuses %j in its config', (more) => {
    expect(faultsOf({ ...entry, ...more })).not.toEqual([]);
  });
});

describe('the ledger’s check of a jwt', () => {
  const config = { subject: '{{ claims.repository }}', claims: { team: '{{ claims.team }}' }, ttl: '15m' };
  const caller = { ...identity, claims: { ...identity.claims, team: 'a' } };

  async function rig() {
    const credential = await open(config);
    const request = requestFor({ identity: caller });
    const { mint } = await credential.draft(request);
    const claims = withClaims({}, caller.claims, credential.needs ?? []);
    const facts: MintFacts = { ...factsFor(request, request.now + 3_000), identity: { ...caller, claims } };
    return { credential, mint, facts };
  }

  it('passes what this credential would have signed, from the disclosed claims alone', async () => {
    const { credential, mint, facts } = await rig();
    expect(() => credential.check(mint, facts)).not.toThrow();
  });

  it('refuses each changed, added or missing member', async () => {
    const { credential, mint, facts } = await rig();
    const claims = mint.claims as JsonObject;
    const changed: Mint[] = [
      ...Object.keys(claims).flatMap((name) => {
        const { [name]: value, ...rest } = claims;
        return [
          { ...mint, claims: rest },
          { ...mint, claims: { ...claims, [name]: typeof value === 'number' ? value + 1 : `${value}x` } },
        ];
      }),
      { ...mint, claims: { ...claims, admin: true } },
      { ...mint, claims: { ...claims, aud: [entry.audience, 'https://other.example'] } },
      { ...mint, alg: 'none' },
      { ...mint, alg: 'RS256' },
      { ...mint, use: 'session' },
      { ...mint, certificate: {} },
      { use: 'jwt', alg: 'ES256' },
    ];
    for (const bad of changed)
      expect((await refusalOf(() => credential.check(bad, facts))).code, JSON.stringify(bad)).toBe('denied');
  });

  it('refuses what does not fit the record: another id, person, lease or time, or a life above the ceiling', async () => {
    const { credential, mint, facts } = await rig();
    const { identity: who, lease, time } = facts;
    const long = { expiresAt: new Date(Date.parse(lease.expiresAt) + 400_000).toISOString(), ttl: 1000 };
    const claims = mint.claims as JsonObject;
    const other: [Mint, MintFacts][] = [
      [mint, { ...facts, issuance: requestFor().id }],
      [mint, { ...facts, identity: { ...who, claims: { ...who.claims, repository: 'acme/other' } } }],
      [mint, { ...facts, identity: { ...who, claims: { repository: 'acme/shop' } } }],
      [mint, { ...facts, lease: { ...lease, ttl: 599 } }],
      [mint, { ...facts, lease: { ...lease, ttl: 0 } }],
      [mint, { ...facts, lease: { ...lease, expiresAt: 'never' } }],
      [mint, { ...facts, time: time + 120_000 }],
      [mint, { ...facts, time: time - 60_000 }],
      [
        { ...mint, claims: { ...claims, exp: Number(claims.exp) + 400 } },
        { ...facts, lease: long },
      ],
    ];
    for (const [minted, about] of other)
      expect((await refusalOf(() => credential.check(minted, about))).code).toBe('denied');
  });

  it('refuses the mint of another credential with another audience', async () => {
    const { credential, facts } = await rig();
    const request = requestFor({ id: facts.issuance, identity: caller });
    const other = await open({ ...config, audience: 'https://other.example' });
    const { mint: theirs } = await other.draft(request);
    expect((await refusalOf(() => credential.check(theirs, facts))).reason).toBe('mint');
  });
});
