import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ConfigError, formatProblem, loadConfig } from '../../src/config/load.ts';
import { presetOf, presets } from '../../src/identity/index.ts';
import type { IssuerShape } from '../../src/lib/issuer-shape.ts';
import type { Runtime } from '../../src/lib/platform.ts';
import { compilePolicy } from '../../src/policy/compile.ts';
import { makeKey, makeToken, outcome, verifierOf } from '../identity/issuer.ts';
import { entryOf, platforms } from '../identity/platforms.ts';
import { makeCertificate } from '../support/certificate.ts';

const head = `
broker: { url: https://pass.example.com, signer: { kind: local, key: { store: sec, name: SIGNER } } }
stores:
  sec: { kind: env }
credentials:
  stripe: { kind: secret, store: sec, name: STRIPE }
`;
const sqlite = `${head}ledger: { kind: sqlite, path: ./ledger.db }\n`;
const object = `${head}ledger: { kind: durable-object }\n`;

const load = (text: string, runtime: Runtime) =>
  loadConfig(text, { file: 'h.yaml', runtime, env: {}, ...(runtime === 'workerd' ? {} : { folder: '/srv' }) });

async function problems(text: string, runtime: Runtime = 'node'): Promise<string[]> {
  try {
    return (await load(text, runtime)).warnings.map(formatProblem);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(formatProblem);
  }
}

const grant = (identity: string) => `grants:
  - { name: deploys, may: [stripe], ttl: 10m, identity: { ${identity} } }
`;
const any = grant('issuer: shop, subject: x');
const shop = (members: string) => `issuers:\n  shop: { issuer: https://k8s.example, ${members} }\n`;

describe('on workerd', () => {
  test.each([
    ['jwksFile: ./jwks.json', 'jwksFile', 'a file can be read'],
    ['ca: ./ca.pem', 'ca', 'a certificate of its own can be pinned'],
    ['jwksAuth: { tokenFile: ./token }', 'tokenFile', 'a file can be read'],
  ])('an issuer with %s is refused, and is fine on Node', async (member, name, can) => {
    const entry = shop(member);
    const column = entry.split('\n')[1]?.indexOf(`${name}:`) ?? 0;
    expect(await problems(object + entry + any, 'workerd')).toEqual([
      expect.stringMatching(
        new RegExp(`^h.yaml:9:${column + name.length + 3}: ${can} on node and lambda, not on workerd$`),
      ),
    ]);
    expect(await problems(sqlite + entry + any)).toEqual([]);
  });

  test('certificates in the config are refused too', async () => {
    const pem = JSON.stringify(makeCertificate().cert);
    expect(await problems(`${object}${shop(`ca: ${pem}`)}${any}`, 'workerd')).toEqual([
      expect.stringContaining('not on workerd'),
    ]);
    expect(await problems(`${sqlite}${shop(`ca: ${pem}`)}${any}`)).toEqual([]);
  });

  test('claims that have such a name are the operator’s own', async () => {
    const entry = shop('require: { ca: x, tokenFile: y, store: z }');
    expect(await problems(object + entry + any, 'workerd')).toEqual([]);
  });
});

test('a REF of an issuer names a store that is there', async () => {
  expect(await problems(sqlite + shop('jwksAuth: { store: sec, name: K8S }') + any)).toEqual([]);
  expect(await problems(sqlite + shop('jwksAuth: { store: hub, name: K8S }') + any)).toEqual([
    expect.stringMatching(/^h.yaml:9:\d+: there is no store "hub"/),
  ]);
});

describe('a grant that binds a recyclable name', () => {
  const issuers = `issuers:
  ci: { preset: gitlab, namespace: { id: "72" } }
`;
  const warned = async (identity: string) => problems(sqlite + issuers + grant(identity));

  test('is warned of where it stands, once for each name, with the id to bind', async () => {
    const identity = 'issuer: ci, project_path: acme/shop, user_login: sample-user';
    const line = `  - { name: deploys, may: [stripe], ttl: 10m, identity: { ${identity} } }`;
    const place = (value: string) => `h.yaml:11:${line.indexOf(value) + 1}`;
    expect(await warned(identity)).toEqual([
      `${place('acme/shop')}: project_path can be given to somebody else later (bind project_id as well)`,
      `${place('sample-user')}: user_login can be given to somebody else later (bind user_id as well)`,
    ]);
  });

  test('is warned of when another name’s id is bound, and not when its own is', async () => {
    expect(await warned('issuer: ci, project_path: acme/shop, user_id: "1"')).toHaveLength(1);
    expect(await warned('issuer: ci, project_path: acme/shop, project_id: "20"')).toEqual([]);
    expect(await warned('issuer: ci, project_id: "20", ref_protected: "true"')).toEqual([]);
  });

  test('by a pattern, which has no one id, is content with any', async () => {
    expect(await warned('issuer: ci, project_path: acme/*')).toHaveLength(1);
    expect(await warned('issuer: ci, project_path: acme/*, namespace_id: "72"')).toEqual([]);
  });
});

describe('the documentation of issuers', () => {
  const page = readFileSync(new URL('../../docs/issuers.md', import.meta.url), 'utf8');
  const examples = [...page.matchAll(/^## (.+)\n+```yaml\n([^`]+)```/gm)].map(([, title = '', yaml = '']) => [
    title,
    yaml,
  ]);

  test.each(examples)('has an example that loads without a warning: %s', async (title, yaml = '') => {
    const there = title === 'worker-binding' ? problems(object + yaml, 'workerd') : problems(sqlite + yaml);
    expect(await there).toEqual([]);
  });

  test('has one of each preset', () => {
    const titles = examples.map(([title]) => (title === 'A private cluster' ? 'kubernetes' : title));
    expect(presets.map(({ name }) => name).filter((name) => !titles.includes(name))).toEqual([]);
  });
});

test('on workerd a store that wants a file or a certificate of its own is refused', async () => {
  const bao =
    '  bao: { kind: vault, address: "https://bao.example.com", mount: secret, tokenFile: ./token, ca: ./ca.pem }\n';
  const text = object.replace('  sec: { kind: env }\n', (entry) => entry + bao) + shop('lifetime: 1h') + any;
  expect(await problems(text, 'workerd')).toEqual([
    expect.stringContaining('a file can be read on node and lambda, not on workerd'),
    expect.stringContaining('a certificate of its own can be pinned on node and lambda, not on workerd'),
  ]);
  expect(await problems(text.replace('{ kind: durable-object }', '{ kind: sqlite, path: ./l.db }'))).toEqual([]);
});

describe('what a grant must name itself', () => {
  const key = makeKey('RS256', 'rsa');

  test.each([
    ['gitlab', { pipeline_source: 'merge_request_event' }, { project_id: '20' }],
    ['gitlab', { pipeline_source: 'external_pull_request_event' }, { project_id: '20' }],
    ['vercel', { environment: 'preview' }, { project_id: 'prj_0000000000000000000000000' }],
    ['vercel', { environment: 'development' }, { project_id: 'prj_0000000000000000000000000' }],
    ['circleci', { 'ssh-rerun': true }, { 'project-id': '00000000-0000-4000-8000-000000000021' }],
  ])('%s: %j', async (preset, member, identity) => {
    const platform = platforms.find((one) => one.preset === preset);
    if (platform === undefined) throw new Error(preset);
    const entry = entryOf(platform, key);
    const decide = async (named: object, changes: object) => {
      const claims = { ...platform.claims, ...changes };
      const caller = await outcome(verifierOf({ shop: entry }), makeToken(key, claims));
      if (typeof caller === 'string') throw new Error(caller);
      const grants = [{ name: 'deploys', identity: { issuer: 'shop', ...named }, may: ['stripe'], ttl: '10m' }];
      const input = { issuers: { shop: entry }, credentials: { stripe: {} }, grants };
      const { policy } = await compilePolicy(input, { shop: presetOf(entry)?.shape as IssuerShape });
      return policy?.decide(caller, 'stripe', [], 0).allow;
    };
    const prefix = preset === 'circleci' ? 'oidc.circleci.com/' : '';
    const [[name, value]] = Object.entries(member) as [[string, string | boolean]];
    const changes = {
      [prefix + name]: value,
      ...(preset === 'vercel' ? { sub: `owner:acme:project:shop:environment:${value}` } : {}),
    };
    expect(await decide(identity, {})).toBe(true);
    expect(await decide(identity, changes)).toBe(false);
    expect(await decide({ ...identity, ...member }, changes)).toBe(true);
  });
});
