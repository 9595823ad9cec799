import { v1 } from '@google-cloud/secret-manager';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { instantMs } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import type { CallGoogle } from '../../sessions/google/call.ts';
import { pageBytes, pageSize, type SecretManager, type Version } from './api.ts';

/** What of a call goes past the client to the fetch below it. */
interface UnderWay {
  readonly step: string;
  readonly deadline: Deadline;
}

/** Names the call that a request of the client's is of; it goes no further than the fetch. */
const mark = 'x-hallpass-call';

type CallOptions = { readonly retry: null; readonly otherArgs: { readonly headers: Record<string, string> } };
type ClientOptions = NonNullable<ConstructorParameters<typeof v1.SecretManagerServiceClient>[0]>;

/** google.protobuf.Timestamp, and what of a version is read, as the client gives them. */
interface Time {
  readonly seconds?: unknown;
  readonly nanos?: number | null;
}
interface SdkVersion {
  readonly name?: string | null;
  readonly state?: unknown;
  readonly createTime?: Time | null;
}

/**
 * Google's own client in its REST mode. Each request it makes goes out by `call`: with our token, deadline, bounds and
 * reading of errors, following no redirect; and it retries nothing.
 */
export function sdkSecretManager(call: CallGoogle, endpoint: string): SecretManager {
  // Not AsyncLocalStorage: until Node 24 that makes each promise of the process slower, whoever's it is.
  const underWay = new Map<string, UnderWay>();
  let calls = 0;
  const client = makeClient(endpoint, async (url, { method = 'GET', headers: given, body }) => {
    const headers = new Headers(given);
    const { step, deadline } = underWay.get(headers.get(mark) ?? '') as UnderWay;
    headers.delete(mark);
    const maxBytes = step === 'list' ? pageBytes : 256 * 1024;
    const answer = await call({
      step,
      method,
      url,
      headers: Object.fromEntries(headers),
      body: typeof body === 'string' ? body : undefined,
      deadline,
      maxBytes,
    });
    return Response.json(answer);
  });

  async function run<T>(step: string, deadline: Deadline, work: (calling: CallOptions) => Promise<T>): Promise<T> {
    const id = String(calls++);
    underWay.set(id, { step, deadline });
    try {
      // No retries by the client: null is what turns them off.
      return await work({ retry: null, otherArgs: { headers: { [mark]: id } } });
    } catch (error) {
      if (error instanceof UpstreamError || error instanceof Refusal) throw error;
      // What the client itself says of an answer it cannot read may quote the answer: it goes no further.
      throw new UpstreamError('unreachable', { step, reason: 'bad_answer' });
    } finally {
      underWay.delete(id);
    }
  }

  return {
    access: (name, deadline) =>
      run('read', deadline, async (calling) => {
        const [{ name: full, payload }] = await client.accessSecretVersion({ name }, calling);
        const { data, dataCrc32c } = payload ?? {};
        const checksum = dataCrc32c === null || dataCrc32c === undefined ? undefined : String(dataCrc32c);
        return { name: full ?? '', data: bytesOf(data), checksum };
      }),
    getRotation: (name, deadline) =>
      run('describe', deadline, async (calling) => {
        const [{ rotation }] = await client.getSecret({ name }, calling);
        return rotation ? { next: instantOf(rotation.nextRotationTime) } : undefined;
      }),
    listVersions: (parent, pageToken, deadline) =>
      run('list', deadline, async (calling) => {
        const paged = { ...calling, autoPaginate: false };
        const [items, , page] = await client.listSecretVersions({ parent, pageSize, pageToken }, paged);
        return { items: items.map(versionOf), next: page?.nextPageToken ?? '' };
      }),
    listSecrets: (parent, pageToken, deadline) =>
      run('list', deadline, async (calling) => {
        const paged = { ...calling, autoPaginate: false };
        const [items, , page] = await client.listSecrets({ parent, pageSize, pageToken }, paged);
        return { items: items.map(({ name }) => String(name)), next: page?.nextPageToken ?? '' };
      }),
    addVersion: (parent, data, dataCrc32c, deadline) =>
      run('write', deadline, async (calling) =>
        versionOf((await client.addSecretVersion({ parent, payload: { data, dataCrc32c } }, calling))[0]),
      ),
    createSecret: (parent, secretId, regional, deadline) =>
      run('create', deadline, async (calling) => {
        const secret = regional ? {} : { replication: { automatic: {} } };
        await client.createSecret({ parent, secretId, secret }, calling);
      }),
    deleteSecret: (name, deadline) =>
      run('remove', deadline, async (calling) => {
        await client.deleteSecret({ name }, calling);
      }),
  };
}

function makeClient(
  endpoint: string,
  fetch: (url: string, init: RequestInit) => Promise<Response>,
): v1.SecretManagerServiceClient {
  const { protocol, hostname, port } = new URL(endpoint);
  // All that the REST mode asks of one; google-auth-library, which would look for keys, is left out of it.
  const auth = { fetch, getRequestHeaders: async () => new Headers() };
  const options = {
    fallback: true,
    protocol: protocol.slice(0, -1),
    apiEndpoint: hostname,
    port: port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port),
    universeDomain: 'googleapis.com',
    auth,
  };
  const client = new v1.SecretManagerServiceClient(options as unknown as ClientOptions);
  // It logs requests and answers, values among them, where GOOGLE_SDK_NODE_LOGGING is set.
  Object.assign(client, { _log: { info() {} } });
  return client;
}

function bytesOf(data: Uint8Array | string | null | undefined): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data, 'base64') : (data ?? new Uint8Array(0));
}

function versionOf({ name, state, createTime }: SdkVersion): Version {
  return { name: name ?? '', state: String(state ?? ''), createdAt: instantOf(createTime) };
}

function instantOf(time: Time | null | undefined): string | undefined {
  const seconds = Number(time?.seconds ?? Number.NaN);
  return Number.isFinite(seconds) ? instantMs(seconds * 1000 + Math.floor((time?.nanos ?? 0) / 1e6)) : undefined;
}
