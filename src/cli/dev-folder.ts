import { createPrivateKey, generateKeyPairSync, type JsonWebKey, sign } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toBase64Url, toUtf8 } from '../lib/bytes.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../lib/strict-json.ts';
import { thumbprint } from '../lib/thumbprint.ts';
import { exit, Failure } from './failure.ts';
import type { Terminal } from './terminal.ts';

/** The subject of the token that commands take from a running `hallpass dev`. */
export const devSubject = 'developer';

/** The embedded issuer of `hallpass dev`: its URL, key and whom its tokens are for. */
export interface DevIssuer {
  readonly iss: string;
  readonly audience: string;
  /** Private, EC P-256. */
  readonly jwk: JsonObject;
}

export interface DevClaims {
  readonly subject: string;
  readonly audience?: string;
  readonly claims?: Readonly<Record<string, string>>;
}

const issuerFile = (dir: string) => join(dir, 'issuer.json');
const runningFile = (dir: string) => join(dir, 'running.json');
/** The operator's log of `hallpass dev`, kept off the transcript. */
export const logFile = (dir: string) => join(dir, 'operator.log');
export const configFile = (dir: string) => join(dir, 'config.yaml');

/** Seconds that a token of the embedded issuer lives. */
export const devTokenLife = 600;

/** Makes the folder and, once, the issuer's key (0600); the URL is that of this start. */
export async function openIssuer(dir: string, url: string): Promise<DevIssuer> {
  await makeFolder(dir);
  const earlier = await readJson(issuerFile(dir));
  const jwk = isJsonObject(earlier?.jwk) ? earlier.jwk : newKey();
  const issuer = { iss: `${url}/dev`, audience: url, jwk };
  await writePrivate(issuerFile(dir), `${JSON.stringify(issuer, null, 2)}\n`);
  return issuer;
}

/** The issuer that `hallpass dev` left in the folder. @throws Failure when there is none */
export async function readIssuer(dir: string): Promise<DevIssuer> {
  const found = await readJson(issuerFile(dir));
  if (typeof found?.iss !== 'string' || typeof found.audience !== 'string' || !isJsonObject(found.jwk))
    throw new Failure(
      exit.negative,
      `no embedded issuer in ${dir}`,
      'start `hallpass dev` once, or name its folder with --dir',
    );
  return { iss: found.iss, audience: found.audience, jwk: found.jwk };
}

/** The public half, as JWKS and config carry it. */
export function publicJwk({ jwk }: DevIssuer): JsonObject {
  return { kty: 'EC', crv: 'P-256', x: jwk.x ?? '', y: jwk.y ?? '', kid: thumbprint(jwk), alg: 'ES256', use: 'sig' };
}

/** A compact JWT (RFC 7519), ES256. */
export function signDevToken(
  issuer: DevIssuer,
  { subject, audience, claims }: DevClaims,
  terminal: Pick<Terminal, 'now' | 'random'>,
): string {
  const now = Math.floor(terminal.now() / 1000);
  const header = { alg: 'ES256', typ: 'JWT', kid: thumbprint(issuer.jwk) };
  const payload = {
    ...claims,
    iss: issuer.iss,
    sub: subject,
    aud: audience ?? issuer.audience,
    iat: now,
    nbf: now,
    exp: now + devTokenLife,
    jti: toBase64Url(terminal.random(16)),
  };
  const input = `${encode(header)}.${encode(payload)}`;
  const key = createPrivateKey({ key: issuer.jwk as JsonWebKey, format: 'jwk' });
  const signature = sign('sha256', toUtf8(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${toBase64Url(signature)}`;
}

/** Leaves word that `hallpass dev` runs here; the returned function takes it back. */
export async function announce(dir: string, url: string, pid: number): Promise<() => Promise<void>> {
  await writePrivate(runningFile(dir), `${JSON.stringify({ url, pid })}\n`);
  return () => rm(runningFile(dir), { force: true });
}

/** The URL of a `hallpass dev` that runs in the folder and answers; undefined when none does. */
export async function findRunning(dir: string, fetch: Terminal['fetch']): Promise<string | undefined> {
  const found = await readJson(runningFile(dir));
  if (typeof found?.url !== 'string' || !/^http:\/\/127\.0\.0\.1:[0-9]{1,5}$/.test(found.url)) return undefined;
  try {
    const answer = await fetch(`${found.url}/healthz`, { signal: AbortSignal.timeout(1000), redirect: 'manual' });
    await answer.body?.cancel();
    return answer.status === 200 ? found.url : undefined;
  } catch {
    return undefined;
  }
}

/** Not by `recursive`, which asks for ever where a folder that is there holds none, such as /proc. */
async function makeFolder(dir: string): Promise<void> {
  const make = () => mkdir(dir, { mode: 0o700 });
  await make().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return;
    if (error.code !== 'ENOENT' || dirname(dir) === dir) throw error;
    await makeFolder(dirname(dir));
    await make();
  });
}

const encode = (value: object) => toBase64Url(toUtf8(JSON.stringify(value)));

function newKey(): JsonObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JsonObject;
}

async function readJson(path: string): Promise<JsonObject | undefined> {
  try {
    const value = parseStrictJson(await readFile(path));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

async function writePrivate(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  await writeFile(temporary, text, { mode: 0o600 });
  await chmod(temporary, 0o600);
  await rename(temporary, path);
}
