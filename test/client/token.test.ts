import { describe, expect, it } from 'vitest';
import { tokenSourceNames } from '../../src/cli/token-sources.ts';
import { thisPlatform } from '../../src/client/platform.ts';
import { findToken } from '../../src/client/token.ts';
import { signRequest } from '../../src/sessions/aws/sign.ts';

const audience = 'https://pass.example.com';
const now = Date.parse('2026-11-22T12:00:00Z');

/** By host: what is answered there. */
type Answers = Readonly<Record<string, (url: URL, init: RequestInit) => string | undefined>>;

interface World {
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly answers?: Answers;
}

function find({ env = {}, files = {}, answers = {} }: World, asked: string[] = []): Promise<string> {
  const platform = thisPlatform({
    env,
    now: () => now,
    readFile: async (path) => {
      const text = files[path];
      if (text === undefined) throw new Error('ENOENT');
      return text;
    },
    fetch: async (at, init) => {
      const url = new URL(at);
      asked.push(url.host);
      const body = answers[url.host]?.(url, init);
      return body === undefined ? new Response(null, { status: 404 }) : new Response(body);
    },
  });
  return findToken(audience, AbortSignal.timeout(1000), platform);
}

const header = (init: RequestInit, name: string) => new Headers(init.headers).get(name);

/** Each source: what of the platform makes it be there. */
const sources: readonly (readonly [name: string, token: string, world: World])[] = [
  ['HALLPASS_TOKEN_FILE', 'by-file', { env: { HALLPASS_TOKEN_FILE: 'file' }, files: { file: ' by-file\n' } }],
  ['HALLPASS_TOKEN', 'by-variable', { env: { HALLPASS_TOKEN: 'by-variable\n' } }],
  [
    'GitHub Actions',
    'by-actions',
    {
      env: {
        ACTIONS_ID_TOKEN_REQUEST_URL: 'https://actions.test/token?api-version=2',
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'bearer',
      },
      answers: {
        'actions.test': (url, init) =>
          header(init, 'authorization') === 'Bearer bearer' &&
          url.search === `?api-version=2&audience=${encodeURIComponent(audience)}`
            ? '{"value":"by-actions"}'
            : undefined,
      },
    },
  ],
  ['Kubernetes projected token', 'by-kubernetes', { files: { '/var/run/secrets/hallpass/token': 'by-kubernetes' } }],
  [
    'GCP metadata server',
    'by-google',
    {
      env: { K_SERVICE: 'shop' },
      answers: {
        'metadata.google.internal': (url, init) =>
          header(init, 'metadata-flavor') === 'Google' && url.searchParams.get('audience') === audience
            ? 'by-google\n'
            : undefined,
      },
    },
  ],
  [
    'Azure managed identity',
    'by-azure',
    {
      env: { IDENTITY_ENDPOINT: 'http://localhost:42356/msi/token', IDENTITY_HEADER: 'identity-header' },
      answers: {
        'localhost:42356': (url, init) =>
          header(init, 'x-identity-header') === 'identity-header' && url.searchParams.get('resource') === audience
            ? '{"access_token":"by-azure"}'
            : undefined,
      },
    },
  ],
  [
    'AWS GetWebIdentityToken',
    'by.a.ws',
    {
      env: {
        AWS_REGION: 'eu-west-1',
        AWS_ACCESS_KEY_ID: 'ASIAOFTHEPLATFORM00',
        AWS_SECRET_ACCESS_KEY: 'not-a-secret',
        AWS_SESSION_TOKEN: 'not-a-token',
      },
      answers: {
        'sts.eu-west-1.amazonaws.com': (url, init) =>
          header(init, 'authorization') === signed(url, init)
            ? '<R><WebIdentityToken>by.a.ws</WebIdentityToken></R>'
            : undefined,
      },
    },
  ],
];

/** What the broker's own signer says of the same request. */
function signed({ host }: URL, { body }: RequestInit): string | undefined {
  const by = { accessKeyId: 'ASIAOFTHEPLATFORM00', secretAccessKey: 'not-a-secret', sessionToken: 'not-a-token' };
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  expect(Object.fromEntries(new URLSearchParams(String(body)))).toEqual({
    Action: 'GetWebIdentityToken',
    Version: '2011-06-15',
    'Audience.member.1': audience,
    DurationSeconds: '300',
    SigningAlgorithm: 'ES384',
  });
  const scope = { service: 'sts', region: 'eu-west-1', now };
  return signRequest({ host, headers, body: String(body) }, by, scope).authorization;
}

const together = (worlds: readonly World[]): World => ({
  env: Object.assign({}, ...worlds.map(({ env }) => env)),
  files: Object.assign({}, ...worlds.map(({ files }) => files)),
  answers: Object.assign({}, ...worlds.map(({ answers }) => answers)),
});

describe('the token of a workload', () => {
  it.each(sources.map(([name, token], at) => ({ name, token, at })))(
    'is taken from $name before all after it',
    async ({ token, at }) => {
      expect(await find(together(sources.slice(at).map(([, , world]) => world)))).toBe(token);
    },
  );

  it('is looked for where the command line looks, in the same order', () => {
    const ours = sources.map(([name]) => name);
    expect(tokenSourceNames.filter((name) => ours.includes(name))).toEqual(ours);
  });

  it('is not looked for any further when a source is there and does not work', async () => {
    for (const [at, [name, , world]] of sources.entries()) {
      if (name === 'HALLPASS_TOKEN' || name === 'Kubernetes projected token') continue;
      const broken = { ...together([...sources.slice(at + 1).map(([, , later]) => later), world]), answers: {} };
      await expect(find({ ...broken, files: {} }), name).rejects.toThrow(name);
    }
  });

  it('makes no metadata server be asked where nothing says that there is one', async () => {
    const asked: string[] = [];
    const env = { AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'AKIA-not-real', AWS_SECRET_ACCESS_KEY: 'not-a-secret' };
    await expect(find({ env }, asked)).rejects.toThrow(/looked at HALLPASS_TOKEN_FILE, .*AWS.*set `token`/);
    expect(asked).toEqual([]);
  });
});
