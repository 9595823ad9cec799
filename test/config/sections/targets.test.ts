import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/config/load.ts';
import { exchangeTargets } from '../../../src/config/sections/targets.ts';
import { ConfigError } from '../../../src/config/text/problem.ts';
import { kinds } from '../../../src/credentials/index.ts';
import * as s from '../../../src/lib/schema/index.ts';
import { embeddedConfig } from '../../support/config.ts';
import { testIssuer } from '../../support/issuer.ts';

const issuer = testIssuer('https://issuer.test', 'https://pass.test');

async function problemsOf(credentials: Record<string, object>): Promise<string[]> {
  const value = embeddedConfig('/nowhere', issuer, { credentials, roles: {}, grants: [] });
  try {
    await checkConfig(value, { file: 'test', runtime: 'node', env: {}, folder: '/nowhere' });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ message }) => message);
  }
}

const jwt = (resource?: unknown) => ({ kind: 'jwt', audience: 'https://api.example', resource });

describe('the resource of a credential', () => {
  it.each(['https://api.example/v1', 'https://api.example/v1?x=y', 'urn:example:api', 'api://shop'])(
    'may be the absolute URI %s',
    async (resource) => {
      expect(await problemsOf({ a: jwt(resource) })).toEqual([]);
    },
  );

  it.each([
    '',
    'api',
    '/v1',
    '//api.example',
    'https://api.example/#x',
    'urn:',
    'urn:a b',
    'urn:é',
    `urn:${'a'.repeat(252)}`,
    1,
  ])('may not be %j', async (resource) => {
    const problems = await problemsOf({ a: jwt(resource) });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^credentials\.a\.resource: /);
  });

  it('is of one credential only', async () => {
    expect(await problemsOf({ a: jwt('urn:x:y'), b: jwt('urn:x:y'), c: jwt('urn:x:Y') })).toEqual([
      'credentials.b.resource: this resource is that of a already',
    ]);
  });

  it('is for kinds that are tokens', async () => {
    expect(await problemsOf({ a: { kind: 'secret', store: 'here', name: 'x', resource: 'urn:x:y' } })).toHaveLength(1);
    for (const { name, schema, exchange } of kinds) {
      const shape = s.shapeOf(schema as s.AnyObject);
      expect([name, 'resource' in shape]).toEqual([name, exchange !== undefined]);
    }
  });
});

describe('the targets of a token exchange', () => {
  it('are the credentials by name and by resource', () => {
    const targets = exchangeTargets({ a: { kind: 'jwt', resource: 'urn:x:y' }, b: { kind: 'secret' } });
    expect([...targets.keys()].sort()).toEqual(['a', 'b', 'urn:x:y']);
    expect(targets.get('urn:x:y')).toBe(targets.get('a'));
    expect(targets.get('a')?.exchange?.member).toBe('token');
    expect(targets.get('b')).toEqual({ credential: 'b', exchange: undefined });
    expect(targets.get('__proto__')).toBeUndefined();
  });
});
