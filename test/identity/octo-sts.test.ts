import { describe, expect, test } from 'vitest';
import { claimsFault } from '../../src/identity/claims.ts';
import { presetOf } from '../../src/identity/index.ts';
import { oidcForm } from '../../src/identity/preset.ts';
import { urlFault } from '../../src/lib/url.ts';
import { goodClaims, nowSeconds } from './issuer.ts';
import { readVectors, vectorsAbsent } from './vectors.ts';

interface Case {
  readonly kind: 'issuer' | 'subject' | 'audience';
  readonly name: string;
  readonly value: string;
  readonly expectedValid: boolean;
}

const cases = vectorsAbsent ? [] : readVectors<{ cases: Case[] }>('octo-sts/oidc_validate_cases.json').cases;
const of = (kind: Case['kind']) => cases.filter((entry) => entry.kind === kind);

// Our subjects are printable ASCII without outer spaces; theirs may be letters of any script, but no punctuation.
const subjectsWeRefuse = ['subject with Unicode', 'subject with emoji'];
const subjectsWeAccept = [
  'subject with space',
  'subject with single quote',
  'subject with double quote',
  'subject with script tags',
  'subject with brackets',
  'subject with braces',
  'subject with semicolon',
];
// Any printable audience may be configured: it is compared, never interpreted.
const audiencesWeAccept = ['audience with special characters', 'audience with at sign'];

describe.skipIf(vectorsAbsent)('octo-sts cases', () => {
  test.each(of('issuer'))('judges as expected: $name', ({ value, expectedValid }) => {
    expect(urlFault(value) === undefined).toBe(expectedValid);
  });

  test.each(of('subject'))('judges as its own rule says: $name', ({ name, value, expectedValid }) => {
    const fault = claimsFault(
      goodClaims({ sub: value }) as never,
      { audience: String(goodClaims().aud), lifetime: 3_600, form: oidcForm },
      nowSeconds * 1000,
    );
    const accepted = (expectedValid && !subjectsWeRefuse.includes(name)) || subjectsWeAccept.includes(name);
    expect(fault).toBe(accepted ? undefined : 'subject');
  });

  test.each(of('audience'))('judges a configured audience: $name', ({ name, value, expectedValid }) => {
    const faults = presetOf({})?.check({ issuer: 'https://issuer.example', audience: value }) ?? [];
    expect(faults.length === 0).toBe(expectedValid || audiencesWeAccept.includes(name));
  });
});

test.each([
  'https://example.com:443',
  'https://example.com:',
  'https://EXAMPLE.com',
  'https://example.com\\@evil.example',
])('refuses a URL not in its normal form: %s', (url) => {
  expect(urlFault(url)).toBeDefined();
});

test.each([
  'https://oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF0123456789',
  'https://container.googleapis.com/v1/projects/p/locations/europe-west1/clusters/c',
  'https://eastus.oic.prod-aks.azure.com/00000000-0000-0000-0000-000000000000/11111111-1111-1111-1111-111111111111/',
  'https://kubernetes.default.svc.cluster.local',
  'https://www.googleapis.com/oauth2/v3/certs',
  'https://github.example.com/_services/token',
  'http://127.0.0.1:8787/dev',
])('takes a real issuer or key URL: %s', (url) => {
  expect(urlFault(url)).toBeUndefined();
});
