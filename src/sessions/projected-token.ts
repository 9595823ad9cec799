import { fromBase64Url, fromUtf8 } from '../lib/bytes.ts';
import { parseStrictJsonObject } from '../lib/strict-json.ts';
import { UpstreamError } from '../lib/upstream.ts';
import type { Session, SessionDeps } from './session.ts';

/** Where Kubernetes puts a pod's own token. */
const inCluster = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * The file of the service account token this process was given: the one configured, or the pod's own inside a cluster;
 * undefined elsewhere.
 */
export function tokenFileOf(configured: string | undefined, { env }: Pick<SessionDeps, 'env'>): string | undefined {
  return configured ?? (env.KUBERNETES_SERVICE_HOST === undefined ? undefined : inCluster);
}

/**
 * A projected service account token, as the kubelet last wrote it.
 *
 * @throws UpstreamError `no_token` where the file is missing or holds none, `static_token` for one that never ends
 */
export async function readProjectedToken(
  file: string,
  { readFile }: Pick<SessionDeps, 'readFile'>,
): Promise<Session<string>> {
  if (readFile === undefined) throw refuse('no_file_system');
  const bytes = await readFile(file).catch((cause) => {
    throw refuse('no_token', { file, cause });
  });
  return tokenSession(textOf(bytes, file).trim(), file);
}

/** A JWT with the end that stands in it. @throws UpstreamError as above; its signature is for the other side to check */
export function tokenSession(token: string, file?: string): Session<string> {
  const [, claims, ...rest] = token.split('.');
  if (claims === undefined || rest.length !== 1 || !/^[\w.-]{1,16384}$/.test(token)) throw refuse('no_token', { file });
  const end = endOf(claims);
  if (end === undefined) throw refuse('static_token', { file });
  return { value: token, expiresAt: end * 1000 };
}

function textOf(bytes: Uint8Array, file: string): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw refuse('no_token', { file, cause });
  }
}

function endOf(claims: string): number | undefined {
  try {
    const { exp } = parseStrictJsonObject(fromBase64Url(claims) ?? '');
    return typeof exp === 'number' ? exp : undefined;
  } catch {
    return undefined;
  }
}

const refuse = (reason: string, more: { readonly file?: string | undefined; readonly cause?: unknown } = {}) =>
  new UpstreamError('unreachable', { step: 'login', reason, ...more });
