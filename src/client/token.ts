import { sha256, toHex, utf8 } from './bytes.ts';
import type { ClientPlatform } from './platform.ts';

/** Gives a workload token for an audience; asked anew for each call to Hallpass. */
export type TokenSource = (audience: string, signal: AbortSignal) => string | Promise<string>;

interface Asked extends ClientPlatform {
  readonly audience: string;
  readonly signal: AbortSignal;
}

type Source = (asked: Asked) => Promise<string | undefined> | string | undefined;

// The order of the command line. What is asked here is what the platform says it has: no address is tried at random.
const sources: Readonly<Record<string, Source>> = {
  HALLPASS_TOKEN_FILE: ({ env, readFile }) => (env.HALLPASS_TOKEN_FILE ? readFile(env.HALLPASS_TOKEN_FILE) : undefined),
  HALLPASS_TOKEN: ({ env }) => env.HALLPASS_TOKEN || undefined,
  'GitHub Actions': async (asked) => {
    const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = asked.env;
    if (!url || !bearer) return undefined;
    const headers = { authorization: `Bearer ${bearer}` };
    return JSON.parse(await ask(asked, url, { headers }, { audience: asked.audience })).value;
  },
  // A volume projected for us: a token made for the API server is never sent anywhere.
  'Kubernetes projected token': ({ readFile }) => readFile('/var/run/secrets/hallpass/token').catch(() => undefined),
  'GCP metadata server': async (asked) => {
    const { GCE_METADATA_HOST: named, K_SERVICE, CLOUD_RUN_JOB } = asked.env;
    const host = named || ((K_SERVICE || CLOUD_RUN_JOB) && 'metadata.google.internal');
    if (!host) return undefined;
    const url = `http://${host}/computeMetadata/v1/instance/service-accounts/default/identity`;
    const headers = { 'metadata-flavor': 'Google' };
    return ask(asked, url, { headers }, { audience: asked.audience, format: 'full' });
  },
  'Azure managed identity': async (asked) => {
    const { IDENTITY_ENDPOINT: url, IDENTITY_HEADER: header } = asked.env;
    if (!url || !header) return undefined;
    const headers = { 'x-identity-header': header };
    const query = { resource: asked.audience, 'api-version': '2019-08-01' };
    return JSON.parse(await ask(asked, url, { headers }, query)).access_token;
  },
  'AWS GetWebIdentityToken': askAws,
};

/** The first source that is there. @throws Error when none is, or when it does not work */
export async function findToken(audience: string, signal: AbortSignal, platform: ClientPlatform): Promise<string> {
  for (const [name, find] of Object.entries(sources)) {
    try {
      const token = await find({ ...platform, audience, signal });
      if (token !== undefined) return token.trim();
    } catch (cause) {
      throw new Error(`${name}: ${(cause as Error).message}`, { cause });
    }
  }
  throw new Error(`looked at ${Object.keys(sources).join(', ')}; or set \`token\``);
}

/** The body of a 200. @throws Error for anything else */
async function ask({ fetch, signal }: Asked, at: string, init: RequestInit, query: Record<string, string> = {}) {
  const url = new URL(at);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  // What fetch says of a header that cannot be sent shows it.
  const answer = await fetch(url.href, { ...init, redirect: 'manual', signal }).catch(() => {
    throw new Error('no answer');
  });
  if (answer.status !== 200) throw new Error(`answered ${answer.status}`);
  return answer.text();
}

/** With the session that Lambda hands over, signed by Signature Version 4; never with a key that lives long. */
async function askAws(asked: Asked): Promise<string | undefined> {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: session } = asked.env;
  const { AWS_REGION: region, AWS_ENDPOINT_URL_STS: named } = asked.env;
  if (!id || !secret || !session || !region) return undefined;
  const url = new URL(named || `https://sts.${region}.amazonaws.com`);
  const body = new URLSearchParams({
    Action: 'GetWebIdentityToken',
    Version: '2011-06-15',
    'Audience.member.1': asked.audience,
    DurationSeconds: '300',
    SigningAlgorithm: 'ES384',
  }).toString();
  const at = new Date(asked.now()).toISOString().replace(/[-:]|\.\d+/g, '');
  const headers: Record<string, string> = {
    'content-type': 'application/x-www-form-urlencoded',
    host: url.host,
    'x-amz-date': at,
    'x-amz-security-token': session,
  };
  const names = Object.keys(headers).join(';');
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const canonical = `POST\n/\n\n${lines.join('')}\n${names}\n${await digest(body)}`;
  const scope = [at.slice(0, 8), region, 'sts', 'aws4_request'];
  let key = utf8(`AWS4${secret}`);
  for (const part of [...scope, `${algorithm}\n${at}\n${scope.join('/')}\n${await digest(canonical)}`])
    key = await hmac(key, part);
  headers.authorization = `${algorithm} Credential=${id}/${scope.join('/')}, SignedHeaders=${names}, Signature=${toHex(key)}`;
  // Which host it is, fetch says itself.
  delete headers.host;
  const xml = await ask(asked, url.href, { method: 'POST', headers, body });
  return /<WebIdentityToken>([\w.-]+)<\/WebIdentityToken>/.exec(xml)?.[1];
}

const algorithm = 'AWS4-HMAC-SHA256';

const digest = async (text: string) => toHex(await sha256(utf8(text)));

async function hmac(key: Uint8Array, text: string): Promise<Uint8Array> {
  const how = { name: 'HMAC', hash: 'SHA-256' };
  const imported = await crypto.subtle.importKey('raw', key as Uint8Array<ArrayBuffer>, how, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, utf8(text) as Uint8Array<ArrayBuffer>));
}
