import { fromUtf8, toUtf8 } from '../lib/bytes.ts';
import { deadlineIn } from '../lib/deadline.ts';
import { callHttp } from '../lib/http-client.ts';
import { isJsonObject, parseStrictJson } from '../lib/strict-json.ts';
import { isLoopbackHost } from '../lib/url.ts';
import { exit, Failure } from './failure.ts';

/** Where a token may come from, in the order they are tried. */
export interface TokenDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
  /** The file's text. Rejects when it cannot be read. */
  readonly readFile: (path: string) => Promise<string>;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** A token of the running `hallpass dev`; undefined when none runs or another server is asked. */
  readonly devToken: () => Promise<string | undefined>;
}

export interface TokenRequest {
  readonly tokenFile?: string;
  /** What the token is asked for: the server's URL. */
  readonly audience: string;
}

export interface FoundToken {
  readonly token: string;
  /** For `--verbose`. */
  readonly source: string;
}

interface Source {
  readonly name: string;
  /** undefined: not here, try the next. @throws Failure when it is here and does not work */
  find(request: TokenRequest, deps: TokenDeps): Promise<string | undefined>;
}

// A service account token made for the API server is never sent anywhere: only a volume projected for us is read.
export const kubernetesTokenFile = '/var/run/secrets/hallpass/token';

const sources: readonly Source[] = [
  {
    name: '--token-file',
    find: async ({ tokenFile }, deps) => (tokenFile === undefined ? undefined : readToken(tokenFile, deps)),
  },
  {
    name: 'HALLPASS_TOKEN_FILE',
    find: async (_, deps) =>
      isSet(deps.env.HALLPASS_TOKEN_FILE) ? readToken(deps.env.HALLPASS_TOKEN_FILE, deps) : undefined,
  },
  {
    name: 'HALLPASS_TOKEN',
    find: async (_, deps) => (isSet(deps.env.HALLPASS_TOKEN) ? deps.env.HALLPASS_TOKEN.trim() : undefined),
  },
  { name: 'GitHub Actions', find: askGitHub },
  {
    name: 'Kubernetes projected token',
    find: async (_, deps) => (await deps.readFile(kubernetesTokenFile).catch(() => undefined))?.trim(),
  },
  { name: 'GCP metadata server', find: askGoogle },
  { name: 'Azure managed identity', find: askAzure },
  { name: 'AWS GetWebIdentityToken', find: askAws },
  { name: 'hallpass dev', find: (_, deps) => deps.devToken() },
];

/** The names of the sources, in order, for help and messages. */
export const tokenSourceNames: readonly string[] = sources.map(({ name }) => name);

/** The first source that has a token. @throws Failure when one is there and fails, or none has any */
export async function findToken(request: TokenRequest, deps: TokenDeps): Promise<FoundToken> {
  for (const { name, find } of sources) {
    const token = await find(request, deps);
    if (token === undefined) continue;
    if (!/^[\x21-\x7e]+$/.test(token)) throw new Failure(exit.refused, `${name} gave no token`);
    return { token, source: name };
  }
  throw new Failure(
    exit.refused,
    'no workload token found',
    `looked at ${tokenSourceNames.join(', ')}; give one with --token-file FILE`,
  );
}

const isSet = (value: string | undefined): value is string => value !== undefined && value !== '';

async function readToken(path: string, deps: TokenDeps): Promise<string> {
  const text = await deps.readFile(path).catch(() => {
    throw new Failure(exit.usage, `cannot read the token file ${path}`);
  });
  return text.trim();
}

async function askGitHub({ audience }: TokenRequest, deps: TokenDeps): Promise<string | undefined> {
  const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = deps.env;
  if (!isSet(url) || !isSet(bearer)) return undefined;
  const asked = withQuery(url, { audience });
  const answer = await ask(deps, asked, { authorization: `Bearer ${bearer}` }, 5000);
  if (answer === undefined)
    throw new Failure(exit.unreachable, 'GitHub Actions gave no token', 'the job needs `permissions: id-token: write`');
  return member(answer, 'value');
}

// Off Google's machines the name resolves to nothing; a loopback server is never asked for with a cloud's token.
async function askGoogle({ audience }: TokenRequest, deps: TokenDeps): Promise<string | undefined> {
  const sure = isSet(deps.env.GCE_METADATA_HOST) || isSet(deps.env.K_SERVICE) || isSet(deps.env.CLOUD_RUN_JOB);
  if (!sure && isLoopback(audience)) return undefined;
  const host = isSet(deps.env.GCE_METADATA_HOST) ? deps.env.GCE_METADATA_HOST : 'metadata.google.internal';
  const path = '/computeMetadata/v1/instance/service-accounts/default/identity';
  const url = withQuery(`http://${host}${path}`, { audience, format: 'full' });
  const answer = await ask(deps, url, { 'metadata-flavor': 'Google' }, sure ? 2000 : 500);
  if (answer === undefined && sure) throw new Failure(exit.unreachable, 'the GCP metadata server gave no token');
  return answer?.trim();
}

async function askAzure({ audience }: TokenRequest, deps: TokenDeps): Promise<string | undefined> {
  const { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: header } = deps.env;
  if (isSet(endpoint) && isSet(header)) {
    const url = withQuery(endpoint, { resource: audience, 'api-version': '2019-08-01' });
    const answer = await ask(deps, url, { 'x-identity-header': header }, 5000);
    if (answer === undefined) throw new Failure(exit.unreachable, 'the managed identity gave no token');
    return member(answer, 'access_token');
  }
  if (isLoopback(audience)) return undefined;
  const url = withQuery('http://169.254.169.254/metadata/identity/oauth2/token', {
    'api-version': '2018-02-01',
    resource: audience,
  });
  const answer = await ask(deps, url, { metadata: 'true' }, 500);
  return answer === undefined ? undefined : member(answer, 'access_token');
}

const awsHints = [
  'AWS_SESSION_TOKEN',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
];

/** Only where the platform gave a session and a region, and never with a key that lives long. */
async function askAws({ audience }: TokenRequest, deps: TokenDeps): Promise<string | undefined> {
  const { env, fetch, now } = deps;
  const region = env.AWS_REGION ?? env.AWS_DEFAULT_REGION;
  if (!isSet(region) || isLoopback(audience) || !awsHints.some((name) => isSet(env[name]))) return undefined;
  const [{ awsIdentityToken }, { UpstreamError }] = await Promise.all([
    import('../sessions/aws/get-web-identity-token.ts'),
    import('../lib/upstream.ts'),
  ]);
  const readFile = async (path: string) => toUtf8(await deps.readFile(path));
  const sts = isSet(env.AWS_ENDPOINT_URL_STS) ? env.AWS_ENDPOINT_URL_STS : undefined;
  try {
    const deadline = deadlineIn(5000, now);
    return (await awsIdentityToken(audience, { region, sts }, { env, fetch, now, readFile }, deadline)).value;
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    const { reason, code } = error.facts;
    const why = [reason ?? error.fault, code].filter((word) => word !== undefined).join(', ');
    const hint = 'the account needs outbound identity federation, the role sts:GetWebIdentityToken';
    throw new Failure(exit.unreachable, `AWS gave no token (${why})`, hint);
  }
}

/** The body of a 200, or undefined for anything else. */
async function ask(
  deps: TokenDeps,
  url: string,
  headers: Record<string, string>,
  ms: number,
): Promise<string | undefined> {
  try {
    const limits = { deadline: deadlineIn(ms, deps.now), maxBytes: 65_536 };
    const answer = await callHttp(deps.fetch, url, { headers }, limits);
    return answer.status === 200 ? fromUtf8(answer.body) : undefined;
  } catch {
    return undefined;
  }
}

function member(text: string, name: string): string | undefined {
  try {
    const answer = parseStrictJson(text);
    const value = isJsonObject(answer) ? answer[name] : undefined;
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

function withQuery(url: string, query: Record<string, string>): string {
  const whole = new URL(url);
  for (const [name, value] of Object.entries(query)) whole.searchParams.set(name, value);
  return whole.href;
}

const isLoopback = (url: string) => URL.canParse(url) && isLoopbackHost(new URL(url).hostname);
