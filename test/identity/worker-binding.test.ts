import { describe, expect, it } from 'vitest';
import { bindingIdentity, presetOf } from '../../src/identity/index.ts';
import { Refusal } from '../../src/lib/refusal.ts';

const audience = 'https://pass.example.com';
const issuers = { ci: { issuer: 'https://ci.example.com' }, edge: { kind: 'worker-binding', audience } };

const reasonOf = (props: unknown, of: Readonly<Record<string, unknown>> = issuers): string => {
  try {
    return `taken for ${bindingIdentity(of, props).name}`;
  } catch (error) {
    if (error instanceof Refusal && error.code === 'token_invalid') return error.reason;
    throw error;
  }
};

describe('the props of a service binding', () => {
  it('are who the Worker is', () => {
    expect(bindingIdentity(issuers, { audience, worker: 'checkout', environment: 'production' })).toEqual({
      issuer: 'edge',
      iss: `worker-binding:${audience}`,
      subject: 'checkout/production',
      claims: { worker: 'checkout', environment: 'production' },
      name: 'edge:checkout/production',
      members: { worker: 'checkout', environment: 'production' },
      disclosed: { worker: 'checkout', environment: 'production' },
    });
  });

  it('are somebody else in another environment', () => {
    const subjects = [{}, { environment: 'production' }, { environment: 'staging' }].map(
      (more) => bindingIdentity(issuers, { audience, worker: 'checkout', ...more }).subject,
    );
    expect(
      new Set([...subjects, bindingIdentity(issuers, { audience, worker: 'checkout/staging' }).subject]).size,
    ).toBe(4);
  });

  it('have no token, so none is counted as used', () => {
    expect(bindingIdentity(issuers, { audience, worker: 'checkout' })).not.toHaveProperty('token');
  });

  it.each([
    undefined,
    null,
    {},
    [],
    'checkout',
    { worker: 'checkout' },
    { audience },
    { audience: 'https://other.example', worker: 'checkout' },
    { audience, worker: '' },
    { audience, worker: 7 },
    { audience, worker: 'a b' },
    { audience, worker: 'a\nb' },
    { audience, worker: 'x'.repeat(256) },
    { audience, worker: 'checkout', environment: null },
    { audience, worker: 'checkout', role: 'admin' },
  ])('are refused when they are %j', (props) => {
    expect(reasonOf(props)).toBe('binding');
  });

  it('say nothing where the config has no such issuer', () => {
    expect(reasonOf({ audience, worker: 'checkout' }, { ci: issuers.ci })).toBe('binding');
  });

  it('cannot pass for the separators of a name', () => {
    expect(reasonOf({ audience, worker: 'a/b:c@d*' })).toBe('taken for edge:a%2Fb%3Ac%40d%2A');
  });

  it('open no door to a token: the issuer has no keys', () => {
    expect(presetOf(issuers.edge)?.compile(issuers.edge, 'edge')).toEqual([]);
    expect(presetOf({ preset: 'worker-binding', issuer: 'https://evil.example' })).toBeUndefined();
  });
});
