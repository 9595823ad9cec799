import type { Trust } from './federation.ts';
import { refuse, tokenBook } from './google/answers.ts';
import { fakeKms } from './google/kms.ts';
import { answerIam, answerMetadata, answerSts, type Generated } from './google/logins.ts';
import { fakeSecretManager } from './google/secret-manager.ts';
import { type FakeCall, startFake } from './server.ts';

export { upstreamWords } from './google/answers.ts';

export interface FakeGoogleOptions {
  /** The provider of the workload identity pool, without anything before it. */
  readonly provider?: string;
  readonly trust?: readonly Trust[];
  /** Service accounts that whoever is logged in may act as. */
  readonly accounts?: readonly string[];
  /** Those whose tokens may live for twelve hours. */
  readonly lasting?: readonly string[];
  /** Whom Secret Manager and KMS let in; default anybody with a token. */
  readonly reader?: string;
  readonly now?: () => number;
}

export const fakeProvider = 'projects/123456789/locations/global/workloadIdentityPools/outside/providers/hallpass';
export const fakeAccount = 'hallpass@acme-core.iam.gserviceaccount.com';

/** Google's STS, IAM Credentials, Secret Manager, KMS and metadata server on one port; every call is in `server.calls`. */
export async function startFakeGoogle(options: FakeGoogleOptions = {}) {
  const { provider = fakeProvider, trust = [], now = Date.now } = options;
  const tokens = tokenBook(now);
  const secretManager = fakeSecretManager(now);
  const kms = fakeKms();
  const accounts = new Set(options.accounts ?? [fakeAccount]);
  const generated: Generated[] = [];
  const iam = { accounts, lasting: new Set(options.lasting), generated };

  async function answer(call: FakeCall) {
    const { pathname } = call.url;
    const metadata = answerMetadata(call, tokens, now());
    if (metadata !== undefined) return metadata;
    if (pathname === '/v1/token') return answerSts(call, provider, trust, tokens);
    const holder = tokens.holder(call.headers.authorization);
    if (holder === undefined) return refuse('UNAUTHENTICATED', 'ACCESS_TOKEN_TYPE_UNSUPPORTED');
    if (pathname.includes('/serviceAccounts/')) return answerIam(call, holder, iam, tokens, now());
    if (options.reader !== undefined && holder !== options.reader) return refuse('PERMISSION_DENIED');
    if (pathname.includes('/cryptoKeys/')) return kms.answer(call);
    return secretManager.answer(call);
  }

  const server = await startFake(answer);
  return {
    server,
    url: server.url,
    /** For GCE_METADATA_HOST. */
    host: new URL(server.url).host,
    tokens,
    secretManager,
    kms,
    accounts,
    /** Every token of a service account it gave, oldest first. */
    generated,
    /** Calls whose path has this in it. */
    callsOf: (part: string) => server.calls.filter(({ url }) => url.pathname.includes(part)),
    close: server.close,
  };
}

export type FakeGoogle = Awaited<ReturnType<typeof startFakeGoogle>>;
