import { describe, expect, it } from 'vitest';
import { Failure } from '../../src/cli/failure.ts';
import { findToken, kubernetesTokenFile, type TokenDeps, tokenSourceNames } from '../../src/cli/token-sources.ts';

const audience = 'https://pass.example.com';

type Answers = Readonly<Record<string, (url: URL, headers: Headers) => string | undefined>>;

/** Every source works, unless left out. */
function deps(
  parts: Partial<TokenDeps> & { answers?: Answers; files?: Readonly<Record<string, string>> } = {},
): TokenDeps {
  const {
    answers = everywhere,
    files = { 'file-by-variable': ' by-variable-file\n', [kubernetesTokenFile]: 'by-kubernetes\n' },
  } = parts;
  return {
    env: {
      HALLPASS_TOKEN_FILE: 'file-by-variable',
      HALLPASS_TOKEN: 'by-variable',
      ACTIONS_ID_TOKEN_REQUEST_URL: 'https://actions.example/token?api-version=2',
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'actions-bearer',
      K_SERVICE: 'shop',
      IDENTITY_ENDPOINT: 'http://localhost:42356/msi/token',
      IDENTITY_HEADER: 'identity-header',
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'ASIAOFTHEPLATFORM00',
      AWS_SECRET_ACCESS_KEY: 'not-a-secret',
      AWS_SESSION_TOKEN: 'not-a-token',
    },
    now: Date.now,
    readFile: async (path) => {
      const text = files[path];
      if (text === undefined) throw new Error('ENOENT');
      return text;
    },
    fetch: async (url, init) => {
      const asked = new URL(url);
      const body = answers[asked.host]?.(asked, new Headers(init.headers));
      if (body === undefined) throw new TypeError('unreachable');
      return new Response(body);
    },
    devToken: async () => 'by-dev',
    ...parts,
  };
}

const everywhere: Answers = {
  'actions.example': (url, headers) =>
    headers.get('authorization') === 'Bearer actions-bearer' && url.searchParams.get('audience') === audience
      ? JSON.stringify({ value: 'by-actions' })
      : undefined,
  'metadata.google.internal': (url, headers) =>
    headers.get('metadata-flavor') === 'Google' && url.searchParams.get('audience') === audience
      ? 'by-google'
      : undefined,
  'localhost:42356': (url, headers) =>
    headers.get('x-identity-header') === 'identity-header' && url.searchParams.get('resource') === audience
      ? JSON.stringify({ access_token: 'by-azure' })
      : undefined,
  'sts.eu-west-1.amazonaws.com': (_, headers) =>
    headers.get('x-amz-security-token') === 'not-a-token' &&
    headers.get('authorization')?.startsWith('AWS4-HMAC-SHA256 ')
      ? '<R><WebIdentityToken>by.a.ws</WebIdentityToken><Expiration>2099-01-01T00:00:00Z</Expiration></R>'
      : undefined,
};

describe('the order of token sources', () => {
  const order = [
    ['--token-file', 'by-option'],
    ['HALLPASS_TOKEN_FILE', 'by-variable-file'],
    ['HALLPASS_TOKEN', 'by-variable'],
    ['GitHub Actions', 'by-actions'],
    ['Kubernetes projected token', 'by-kubernetes'],
    ['GCP metadata server', 'by-google'],
    ['Azure managed identity', 'by-azure'],
    ['AWS GetWebIdentityToken', 'by.a.ws'],
    ['hallpass dev', 'by-dev'],
  ] as const;

  it('is the one that help names', () => {
    expect(tokenSourceNames).toEqual(order.map(([name]) => name));
  });

  it.each(order.map(([source, token], at) => ({ source, token, at })))(
    '$source comes before those after it',
    async ({ source, token, at }) => {
      const all = deps();
      const without = order.slice(0, at).map(([name]) => name);
      const env: Record<string, string | undefined> = { ...all.env };
      if (without.includes('HALLPASS_TOKEN_FILE')) delete env.HALLPASS_TOKEN_FILE;
      if (without.includes('HALLPASS_TOKEN')) delete env.HALLPASS_TOKEN;
      if (without.includes('GitHub Actions')) delete env.ACTIONS_ID_TOKEN_REQUEST_URL;
      if (without.includes('GCP metadata server')) delete env.K_SERVICE;
      if (without.includes('Azure managed identity')) delete env.IDENTITY_ENDPOINT;
      if (without.includes('AWS GetWebIdentityToken')) delete env.AWS_REGION;
      const { 'metadata.google.internal': _, ...noGoogle } = everywhere;
      const answers = without.includes('GCP metadata server') ? noGoogle : everywhere;
      const files: Record<string, string> = { option: 'by-option\n', 'file-by-variable': 'by-variable-file\n' };
      if (!without.includes('Kubernetes projected token')) files[kubernetesTokenFile] = 'by-kubernetes\n';
      const found = await findToken(
        { audience, ...(source === '--token-file' ? { tokenFile: 'option' } : {}) },
        deps({ env, answers: answers as Answers, files }),
      );
      expect(found).toEqual({ source, token });
    },
  );
});

describe('findToken', () => {
  const nothing = { env: {}, files: {}, answers: {}, devToken: async () => undefined };

  it('refuses with exit code 77 and what it looked at when there is no token', async () => {
    const failure = await findToken({ audience }, deps(nothing)).catch((error) => error);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure.code).toBe(77);
    expect(failure.hint).toContain('HALLPASS_TOKEN_FILE');
  });

  it('does not fall through to the next source when a named token file cannot be read', async () => {
    const failure = await findToken({ audience, tokenFile: 'absent' }, deps()).catch((error) => error);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure.message).toContain('absent');
    expect(failure.code).toBe(2);
  });

  it('does not fall through when GitHub Actions is there and gives no token', async () => {
    const env = { ACTIONS_ID_TOKEN_REQUEST_URL: 'https://actions.example/', ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'wrong' };
    const failure = await findToken({ audience }, deps({ env, files: {} })).catch((error) => error);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure.code).toBe(69);
  });

  it('says what AWS refused, and takes no key that lives long', async () => {
    const aws = { AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'AKIA-not-real', AWS_SECRET_ACCESS_KEY: 'not-a-secret' };
    const long = await findToken({ audience }, deps({ ...nothing, env: aws })).catch((error) => error);
    expect(long.message).toBe('no workload token found');
    const container = {
      ...aws,
      AWS_WEB_IDENTITY_TOKEN_FILE: 'token',
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/a',
    };
    const refused = await findToken({ audience }, deps({ ...nothing, env: container })).catch((error) => error);
    expect(refused.code).toBe(69);
    expect(refused.message).toBe('AWS gave no token (long_lived_key)');
  });

  it('never asks a cloud metadata server for a token for a loopback server, unless the platform says it is there', async () => {
    const asked: string[] = [];
    const fetch = async (url: string) => {
      asked.push(url);
      throw new TypeError('unreachable');
    };
    await findToken({ audience: 'http://127.0.0.1:8787' }, deps({ ...nothing, fetch, devToken: async () => 'by-dev' }));
    expect(asked).toEqual([]);
  });

  it('refuses a token file that holds two lines', async () => {
    const failure = await findToken({ audience, tokenFile: 'two' }, deps({ files: { two: 'one\ntwo\n' } })).catch(
      (error) => error,
    );
    expect(failure).toBeInstanceOf(Failure);
    expect(failure.message).not.toContain('two\n');
  });
});
