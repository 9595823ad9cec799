import { describe, expect, test } from 'vitest';
import { presetOf, presets, shapeOf } from '../../src/identity/index.ts';
import * as s from '../../src/lib/schema/index.ts';
import {
  audience,
  genericIssuer,
  goodClaims,
  goodHeader,
  issuerUrl,
  makeKey,
  makeToken,
  nowSeconds,
  outcome,
  verifierOf,
} from './issuer.ts';
import { clusterIssuer, job, pod } from './older-platforms.ts';

const rsa = makeKey('RS256', 'rsa');
const ec = makeKey('ES256', 'ec');
const jwks = { keys: [rsa.jwk, ec.jwk] };

const github = { preset: 'github-actions', organization: { id: '9919', name: 'acme' }, jwks };
const cluster = { preset: 'kubernetes', issuer: clusterIssuer, jwks };
const verifier = verifierOf({ ci: github, shop: cluster, any: genericIssuer(ec) });

const jobToken = (changes: Record<string, unknown> = {}) =>
  makeToken(rsa, job(changes), { typ: 'JWT', alg: 'RS256', x5t: 'ykNaY4qM_ta4k2TgZOCEYLkcYlA', kid: 'rsa' });

const podToken = (changes: Record<string, unknown> = {}, bound: Record<string, unknown> = {}) =>
  makeToken(rsa, pod(changes, bound), { alg: 'RS256', kid: 'rsa' });

describe('github-actions', () => {
  test('verifies a token as GitHub signs it, x5t and all', async () => {
    const identity = await outcome(verifier, jobToken());
    expect(identity).toMatchObject({
      issuer: 'ci',
      iss: 'https://token.actions.githubusercontent.com',
      subject: 'repo:acme/shop:ref:refs/heads/main',
      name: 'ci:acme/shop@main',
      members: { repository_id: '456789', repository_owner_id: '9919', ref: 'refs/heads/main', event_name: 'push' },
      disclosed: { repository: 'acme/shop', actor: 'octocat' },
      expiresAt: (nowSeconds + 590) * 1000,
    });
  });

  test.each([
    'repo:acme/shop:environment:Production EU',
    'repo:acme@9919/shop@456789:ref:refs/heads/main',
    'repo:acme-9919/shop-456789:ref:refs/heads/main',
    'repo:acme/shop',
    'repo:acme/shop:ref:refs/heads/main:job_workflow_ref:acme/flows/.github/workflows/x.yml@refs/heads/main',
    'repository_owner_id:9919:repository_id:456789:environment:prod',
    'job_workflow_ref:acme/flows/.github/workflows/x.yml@refs/heads/main',
  ])('26: understands the subject %s', async (sub) => {
    expect(await outcome(verifier, jobToken({ sub }))).toMatchObject({ subject: sub });
  });

  test.each([
    ['ids of another owner', { sub: 'repo:acme@1/shop@456789:ref:refs/heads/main' }],
    ['the id of another repository', { sub: 'repo:acme@9919/shop@1:ref:refs/heads/main' }],
    ['an id for the owner only', { sub: 'repo:acme@9919/shop:ref:refs/heads/main' }],
    ['ids of another owner after a dash', { sub: 'repo:acme-1/shop-456789:ref:refs/heads/main' }],
    ['another repository', { sub: 'repo:acme/other:ref:refs/heads/main' }],
    ['a longer repository name', { sub: 'repo:acme/shop-evil:ref:refs/heads/main' }],
    ['a longer id', { sub: 'repo:acme@9919/shop@4567890:ref:refs/heads/main' }],
    ['an owner that is not the repository\u2019s', { repository_owner: 'evil' }],
    ['an owner that is the beginning of the repository\u2019s', { repository_owner: 'acm' }],
    ['no event', { event_name: undefined }],
    ['an event that is no string', { event_name: ['push'] }],
    ['no repository id', { repository_id: undefined }],
    ['a repository id that is a number', { repository_id: 456_789 }],
    ['an environment that is an object', { environment: { name: 'prod' } }],
  ])('26: refuses a token whose claims disagree: %s', async (_, changes) => {
    expect(await outcome(verifier, jobToken(changes))).toBe('token_invalid: claims');
  });

  test.each([
    ['another organization', { repository_owner_id: '9920' }],
    ['a recycled organization name', { repository_owner_id: '123456789' }],
    ['an id with a space', { repository_owner_id: '9919 ' }],
    ['an id with a leading zero', { repository_owner_id: '09919' }],
  ])('22 and 26: does not verify a token of %s', async (_, changes) => {
    expect(await outcome(verifier, jobToken(changes))).toBe('token_invalid: tenant');
  });

  test('29: an organization id is compared as a string', async () => {
    expect(await outcome(verifier, jobToken({ repository_owner_id: 9919 }))).toBe('token_invalid: claims');
  });

  test('26: a repository whose name looks like one with ids is judged by its claims', async () => {
    const lookalike = {
      sub: 'repo:acme-1/shop-2:ref:refs/heads/main',
      repository: 'acme-1/shop-2',
      repository_owner: 'acme-1',
    };
    expect(await outcome(verifier, jobToken(lookalike))).toMatchObject({ name: 'ci:acme-1/shop-2@main' });
  });

  test('26: pull requests verify, but only a grant that names the event may match them', async () => {
    const identity = await outcome(
      verifier,
      jobToken({ sub: 'repo:acme/shop:pull_request', event_name: 'pull_request', ref: 'refs/pull/7/merge' }),
    );
    expect(identity).toMatchObject({ members: { event_name: 'pull_request' }, name: 'ci:acme/shop@pull%2F7%2Fmerge' });
    expect(shapeOf(github).requireNamed?.event_name).toContain('pull_request');
  });

  test('keeps names apart: what separates is encoded inside a component', async () => {
    const identity = await outcome(verifier, jobToken({ ref: 'refs/heads/a/b:c*%\u0007\u202e' }));
    expect(identity).toMatchObject({ name: 'ci:acme/shop@a%2Fb%3Ac%2A%25%07%E2%80%AE' });
  });

  test.each([
    ['refs/tags/v1', 'tags%2Fv1'],
    ['refs/heads/tags/v1', 'heads%2Ftags%2Fv1'],
    ['refs/heads/heads/tags/v1', 'heads%2Fheads%2Ftags%2Fv1'],
    ['refs/heads/pull/7/merge', 'heads%2Fpull%2F7%2Fmerge'],
    ['refs/heads/feature/1', 'feature%2F1'],
  ])('no branch is named as a ref of another kind: %s', async (ref, name) => {
    expect(await outcome(verifier, jobToken({ ref }))).toMatchObject({ name: `ci:acme/shop@${name}` });
  });

  test('two organizations on one issuer are told apart by their tenant, whichever comes first', async () => {
    const other = { ...github, organization: { id: '1' } };
    for (const issuers of [
      { mine: github, theirs: other },
      { theirs: other, mine: github },
    ]) {
      const both = verifierOf(issuers);
      expect(await outcome(both, jobToken())).toMatchObject({ issuer: 'mine' });
      expect(await outcome(both, jobToken({ repository_owner_id: '1' }))).toMatchObject({ issuer: 'theirs' });
      expect(await outcome(both, jobToken({ repository_owner_id: '2' }))).toBe('token_invalid: tenant');
    }
  });
});

describe('kubernetes', () => {
  test('verifies a projected token as a cluster signs it', async () => {
    expect(await outcome(verifier, podToken())).toMatchObject({
      issuer: 'shop',
      name: 'shop:shop/checkout',
      members: {
        namespace: 'shop',
        serviceAccount: 'checkout',
        serviceAccountUid: '14ee3fa4-0000-4000-8000-000000000005',
        pod: 'checkout-6d9f',
        podUid: '5e0bd49b-0000-4000-8000-000000000004',
        node: 'node-1',
      },
      disclosed: { 'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'checkout' } } },
    });
  });

  test('verifies a TokenRequest token without pod and node, of 24 hours', async () => {
    const token = podToken({ exp: nowSeconds - 20 + 86_400 }, { pod: undefined, node: undefined });
    expect(await outcome(verifier, token)).toMatchObject({ members: { serviceAccount: 'checkout' } });
  });

  test.each([
    ['a legacy token', { 'kubernetes.io': undefined, 'kubernetes.io/serviceaccount/namespace': 'shop' }, {}],
    ['another namespace in sub', { sub: 'system:serviceaccount:kube-system:checkout' }, {}],
    ['another account in sub', { sub: 'system:serviceaccount:shop:checkout-evil' }, {}],
    ['a sub of a node', { sub: 'system:node:node-1' }, {}],
    ['no namespace', {}, { namespace: undefined }],
    ['a namespace that is a list', {}, { namespace: ['shop'] }],
    ['no account uid', {}, { serviceaccount: { name: 'checkout' } }],
    ['no account', {}, { serviceaccount: undefined }],
    ['a pod without uid', {}, { pod: { name: 'x' } }],
    ['a node that is a string', {}, { node: 'node-1' }],
    ['bound claims that are a list', { 'kubernetes.io': [] }, {}],
  ])('27: refuses %s', async (_, changes, bound) => {
    expect(await outcome(verifier, podToken(changes, bound))).toBe('token_invalid: claims');
  });

  test.each([
    ['the API server\u2019s audience', { aud: ['https://kubernetes.default.svc'] }, 'audience'],
    ['ours beside the API server\u2019s', { aud: [audience, 'https://kubernetes.default.svc'] }, 'audience'],
    ['no exp', { exp: undefined }, 'lifetime'],
    ['a life of a year', { exp: nowSeconds + 31_536_000 }, 'lifetime'],
    ['another cluster', { iss: 'https://oidc.eks.eu-west-1.amazonaws.com/id/XYZ' }, 'issuer'],
  ])('27: refuses a token with %s', async (_, changes, reason) => {
    expect(await outcome(verifier, podToken(changes))).toBe(`token_invalid: ${reason}`);
  });
});

describe('generic', () => {
  test('reads no members and names the subject as one component', async () => {
    expect(await outcome(verifier, makeToken(ec, goodClaims({ sub: 'svc/a:b' })))).toMatchObject({
      name: 'any:svc%2Fa%3Ab',
      members: {},
      disclosed: {},
    });
  });

  test.each([
    ['a string', { tenant: 'acme' }, true],
    ['another string', { tenant: 'acme ' }, false],
    ['absent', {}, false],
    ['a list of it', { tenant: ['acme'] }, false],
  ])('22: binds the tenant by a required claim: %s', async (_, changes, good) => {
    const bound = verifierOf({ any: { ...genericIssuer(ec), require: { tenant: 'acme' } } });
    const result = await outcome(bound, makeToken(ec, goodClaims(changes)));
    if (good) expect(result).toMatchObject({ issuer: 'any' });
    else expect(result).toBe('token_invalid: tenant');
  });

  test.each([
    [true, 'true'],
    [1, '1'],
    ['1', 1],
  ])('29: %j required is not met by %j', async (required, claim) => {
    const bound = verifierOf({ any: { ...genericIssuer(ec), require: { 'deep.value': required } } });
    expect(await outcome(bound, makeToken(ec, goodClaims({ deep: { value: claim } })))).toBe('token_invalid: tenant');
    expect(await outcome(bound, makeToken(ec, goodClaims({ deep: { value: required } })))).toMatchObject({
      issuer: 'any',
    });
  });

  test.each(['RS256', 'ES256', 'ES384', 'EdDSA'] as const)(
    'verifies %s with and without typ, nbf and x5t',
    async (alg) => {
      const key = makeKey(alg, 'k');
      const one = verifierOf({ any: genericIssuer(key) });
      for (const header of [goodHeader(key), { alg, kid: key.kid }, goodHeader(key, { x5t: 'abc' })]) {
        for (const claims of [
          {},
          { nbf: nowSeconds },
          { aud: [audience] },
          { jti: undefined },
          { note: '\u7528\u6237\ud83d\ude00' },
        ]) {
          expect(await outcome(one, makeToken(key, goodClaims(claims), header))).toMatchObject({ subject: 'checkout' });
        }
      }
    },
  );

  test('verifies a token of just under 16 KiB, nested 16 deep, with a subject of 255 characters', async () => {
    const deep = JSON.parse(`${'['.repeat(15)}${']'.repeat(15)}`);
    const token = makeToken(ec, goodClaims({ sub: 's'.repeat(255), deep, pad: 'x'.repeat(11_500) }));
    expect(token.length).toBeGreaterThan(15_800);
    expect(token.length).toBeLessThanOrEqual(16_384);
    expect(await outcome(verifier, token)).toMatchObject({ issuer: 'any' });
  });

  test('names its token by issuer and jti as receipts do', async () => {
    const identity = await outcome(
      verifierOf({ any: { ...genericIssuer(ec) } }),
      makeToken(ec, goodClaims({ jti: 'jti-1' })),
    );
    // The published vector: SHA-256 over the canonical form of ["https://issuer.example","jti-1"].
    expect(identity).toMatchObject({ token: 'cLG50t3M9v4jEnyrBgiV-3BEDDBreH-eHfi0oDInvlg' });
  });

  test('an issuer that names its own audience takes that one and not the broker\u2019s', async () => {
    const own = verifierOf({ any: { ...genericIssuer(ec), audience: 'hallpass' } });
    expect(await outcome(own, makeToken(ec))).toBe('token_invalid: audience');
    expect(await outcome(own, makeToken(ec, goodClaims({ aud: 'hallpass' })))).toMatchObject({ issuer: 'any' });
  });
});

describe('a config entry', () => {
  const good = { issuer: issuerUrl };
  const faults = (config: object) =>
    presetOf(config)
      ?.check(config)
      .map(({ path, message }) => `${path.join('.')}: ${message}`);

  test.each([
    ['http', { issuer: 'http://issuer.example' }, 'issuer'],
    ['a path with dots', { issuer: 'https://issuer.example/../x' }, 'issuer'],
    ['jwks and jwksUri', { ...good, jwks, jwksUri: 'https://issuer.example/jwks' }, 'jwksUri'],
    ['a key URL with a query', { ...good, jwksUri: 'https://issuer.example/jwks?x=1' }, 'jwksUri'],
    ['a lifetime of 26 hours', { ...good, lifetime: '26h' }, 'lifetime'],
    ['a lifetime without unit', { ...good, lifetime: '3600' }, 'lifetime'],
    ['algorithms that no key can meet', { ...good, jwks, algorithms: ['ES256'] }, 'jwks.keys.0'],
    ['19: an audience of AWS', { ...good, audience: 'sts.amazonaws.com' }, 'audience'],
    ['19: an audience of AWS in upper case', { ...good, audience: 'STS.amazonaws.com' }, 'audience'],
    ['19: an audience of Azure', { ...good, audience: 'api://AzureADTokenExchange' }, 'audience'],
    [
      '19: an audience of Google',
      { ...good, audience: '//iam.googleapis.com/projects/1/locations/global/x' },
      'audience',
    ],
    ['19: the audience of a cluster', { ...good, audience: 'https://kubernetes.default.svc' }, 'audience'],
    ['19: GitHub\u2019s default audience', { ...good, audience: 'https://github.com/acme' }, 'audience'],
    ['an audience with a space', { ...good, audience: 'a b' }, 'audience'],
    ['22: GitHub without an organization', { issuer: 'https://token.actions.githubusercontent.com' }, 'issuer'],
    ['22: GitLab bound by a name', { issuer: 'https://gitlab.com', require: { namespace_path: 'acme' } }, 'issuer'],
    ['22: Terraform Cloud', { issuer: 'https://app.terraform.io', require: {} }, 'issuer'],
    ['22: Entra common', { issuer: 'https://login.microsoftonline.com/common/v2.0' }, 'issuer'],
    ['22: Google accounts', { issuer: 'https://accounts.google.com' }, 'issuer'],
    ['22: Buildkite', { issuer: 'https://agent.buildkite.com' }, 'issuer'],
    ['22: CircleCI', { issuer: 'https://oidc.circleci.com' }, 'issuer'],
    [
      '22: personal Microsoft accounts in tokens of version 1.0',
      { issuer: 'https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/' },
      'issuer',
    ],
    ['22: the European HCP Terraform, bound to nobody', { issuer: 'https://app.eu.terraform.io' }, 'issuer'],
    ['22: a shared issuer as a cluster', { preset: 'kubernetes', issuer: 'https://gitlab.com' }, 'issuer'],
  ])('is refused with %s', (_, config, member) => {
    expect(faults(config)?.map((fault) => fault.split(':')[0])).toEqual([member]);
  });

  test.each([
    [good],
    [{ ...good, lifetime: '25h', algorithms: ['EdDSA'], audience: 'hallpass' }],
    [{ issuer: 'https://gitlab.com', require: { namespace_id: '72' } }],
    [github],
    [{ preset: 'github-actions', organization: { id: '9919' }, issuer: 'https://github.example.com/_services/token' }],
    [cluster],
    [
      {
        preset: 'kubernetes',
        issuer: 'https://kubernetes.default.svc',
        jwksUri: 'https://10.0.0.1:6443/openid/v1/jwks',
        lifetime: '1h',
      },
    ],
  ])('is accepted: %j', (config) => {
    const preset = presetOf(config);
    expect(s.safeParse(preset?.schema as never, config).success).toBe(true);
    expect(faults(config)).toEqual([]);
  });

  test.each([
    ['an unknown member', { ...good, jwksURI: 'x' }],
    ['GitHub without organization', { preset: 'github-actions' }],
    ['an organization id that is a number', { preset: 'github-actions', organization: { id: 9919 } }],
    ['an organization by name only', { preset: 'github-actions', organization: { name: 'acme' } }],
    ['a symmetric algorithm', { ...good, algorithms: ['HS256'] }],
    ['no algorithm', { ...good, algorithms: [] }],
    ['an empty key set', { ...good, jwks: { keys: [] } }],
    ['a cluster without issuer', { preset: 'kubernetes' }],
  ])('does not fit the schema with %s', (_, config) => {
    expect(s.safeParse(presetOf(config)?.schema as never, config).success).toBe(false);
  });

  test('names a preset, generic when it names none, and no other', () => {
    expect(presetOf({})?.name).toBe('generic');
    expect(presetOf({ preset: 'gitlab' })?.name).toBe('gitlab');
    expect(presetOf({ preset: 'gitlabs' })).toBeUndefined();
    expect(() => shapeOf({ preset: 'toString' })).toThrow('unknown preset');
  });

  test('every member that can be recycled points at one that cannot', () => {
    for (const { shape } of presets) {
      for (const { prefer } of Object.values(shape.members)) {
        if (prefer !== undefined) expect(shape.members[prefer]?.immutable).toBe(true);
      }
    }
  });
});
