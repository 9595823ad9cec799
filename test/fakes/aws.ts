import { type FakeKms, makeKms } from './aws-kms.ts';
import { type FakeSecrets, makeSecrets, Refused } from './aws-secrets.ts';
import { type KnownCredentials, type SignatureFault, signatureFault } from './aws-sigv4.ts';
import { type FakeSts, makeSts, type Role } from './aws-sts.ts';
import { type FakeAnswer, type FakeCall, type FakeServer, startFake } from './server.ts';

export interface FakeAws {
  readonly url: string;
  readonly server: FakeServer;
  readonly sts: FakeSts;
  readonly secrets: FakeSecrets;
  readonly kms: FakeKms;
  /** Its own clock, milliseconds since the epoch. */
  now: () => number;
  /** Calls of one action so far. */
  calls(action: string): number;
  /** Session credentials that a platform would hand out, as variables. */
  platform(): Record<string, string>;
  close(): Promise<void>;
}

const faults: Readonly<Record<SignatureFault, readonly [string, string]>> = {
  unsigned: ['MissingAuthenticationTokenException', 'canary'],
  unknown_key: ['UnrecognizedClientException', 'canary: the security token is invalid'],
  expired_session: ['ExpiredTokenException', 'canary: the security token is expired'],
  skew: ['InvalidSignatureException', 'Signature expired: 20261122T000000Z is now earlier than 20261122T010000Z'],
  signature: ['InvalidSignatureException', 'canary: the signature does not match'],
};

/** STS, Secrets Manager and KMS behind one address: assertions and signatures are verified, state is kept. */
export async function startAws(roles: readonly Role[] = []): Promise<FakeAws> {
  const now = () => aws.now();
  const sts = makeSts(roles, now);
  const secrets = makeSecrets(now);
  const kms = makeKms();
  const actions: Record<string, (input: Readonly<Record<string, unknown>>) => object> = {
    ...secrets.actions,
    ...kms.actions,
  };
  const server = await startFake((call) => (targetOf(call) === undefined ? sts.answer(call) : answer(call)));

  function answer(call: FakeCall): FakeAnswer {
    const fault = signatureFault(call, sts.sessions, now());
    if (fault !== undefined) return refuse(new Refused(...faults[fault]));
    try {
      const action = actions[targetOf(call) as string];
      if (action === undefined) throw new Refused('UnknownOperationException');
      return json(200, action(JSON.parse(call.body)));
    } catch (error) {
      if (error instanceof Refused) return refuse(error);
      throw error;
    }
  }

  const aws: FakeAws = {
    url: server.url,
    server,
    sts,
    secrets,
    kms,
    now: Date.now,
    calls: (action) => server.calls.filter((call) => actionOf(call) === action).length,
    platform() {
      const made: KnownCredentials = { secretAccessKey: 'not-a-secret', sessionToken: 'not-a-token', until: Infinity };
      sts.sessions.set('ASIAOFTHEPLATFORM00', made);
      return {
        AWS_ACCESS_KEY_ID: 'ASIAOFTHEPLATFORM00',
        AWS_SECRET_ACCESS_KEY: made.secretAccessKey,
        AWS_SESSION_TOKEN: made.sessionToken,
      };
    },
    close: () => server.close(),
  };
  return aws;
}

const targetOf = ({ headers }: FakeCall): string | undefined => String(headers['x-amz-target'] ?? '').split('.')[1];

/** The action a call asks for, in either of AWS's protocols. */
export const actionOf = (call: FakeCall): string | undefined =>
  targetOf(call) ?? new URLSearchParams(call.body).get('Action') ?? undefined;

const json = (status: number, body: object): FakeAnswer => ({
  status,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body: JSON.stringify(body),
});

export const refuse = ({ code, message, status }: Refused): FakeAnswer => json(status, { __type: code, message });
