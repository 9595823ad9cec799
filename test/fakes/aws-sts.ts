import { randomBytes } from 'node:crypto';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import type { KnownCredentials } from './aws-sigv4.ts';
import { checkToken, type TokenFault, type Trust } from './federation.ts';
import type { FakeAnswer, FakeCall } from './server.ts';

/** A role and whom it trusts. */
export interface Role extends Trust {
  readonly role: string;
}

/** A role that was assumed. */
export interface Assumed {
  readonly role: string;
  readonly name: string;
  readonly seconds: number;
  /** Of the token that was shown. */
  readonly claims: JsonObject;
  readonly accessKeyId: string;
}

export interface FakeSts {
  /** Every session it gave, by access key id; one may be ended by moving its `until`. */
  readonly sessions: Map<string, KnownCredentials>;
  readonly assumed: Assumed[];
  answer(call: FakeCall): Promise<FakeAnswer>;
}

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';
const headers = { 'content-type': 'text/xml' };

/** As AWS words a refusal of its query API. */
export const refusal = (status: number, code: string, message = 'canary: said by the other side'): FakeAnswer => ({
  status,
  headers,
  body: `<ErrorResponse xmlns="${namespace}"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>0</RequestId></ErrorResponse>`,
});

const refusals: Readonly<Record<TokenFault, readonly [number, string]>> = {
  not_a_token: [400, 'InvalidIdentityToken'],
  untrusted: [403, 'AccessDenied'],
  expired: [400, 'ExpiredTokenException'],
  algorithm: [400, 'InvalidIdentityToken'],
  unknown_key: [400, 'InvalidIdentityToken'],
  signature: [400, 'InvalidIdentityToken'],
};

/** AssumeRoleWithWebIdentity that checks the token for real. `now` is its own clock. */
export function makeSts(roles: readonly Role[], now: () => number): FakeSts {
  const sts: FakeSts = { sessions: new Map(), assumed: [], answer };

  async function answer({ body, url }: FakeCall): Promise<FakeAnswer> {
    const form = new URLSearchParams(body);
    if (url.pathname !== '/' || form.get('Version') !== '2011-06-15') return refusal(400, 'InvalidAction');
    if (form.get('Action') !== 'AssumeRoleWithWebIdentity') return refusal(400, 'InvalidAction');
    const role = form.get('RoleArn') ?? '';
    const name = form.get('RoleSessionName') ?? '';
    const seconds = Number(form.get('DurationSeconds') ?? 3600);
    if (!/^[\w+=,.@-]{2,64}$/.test(name) || !(seconds >= 900 && seconds <= 43_200))
      return refusal(400, 'ValidationError');
    const trusts = roles.filter((known) => known.role === role);
    const checked = await checkToken(form.get('WebIdentityToken') ?? '', trusts, now());
    if ('fault' in checked) return refusal(...refusals[checked.fault]);
    const accessKeyId = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
    const until = now() + seconds * 1000;
    const made = {
      secretAccessKey: randomBytes(30).toString('base64'),
      sessionToken: randomBytes(90).toString('base64'),
      until,
    };
    sts.sessions.set(accessKeyId, made);
    sts.assumed.push({ role, name, seconds, claims: checked.claims, accessKeyId });
    return { status: 200, headers, body: given(accessKeyId, made, role, name) };
  }

  return sts;
}

function given(id: string, { secretAccessKey, sessionToken, until }: KnownCredentials, role: string, name: string) {
  const action = 'AssumeRoleWithWebIdentity';
  const user = `<AssumedRoleUser><Arn>${role.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/${name}</Arn></AssumedRoleUser>`;
  const credentials = `<Credentials>
    <AccessKeyId>${id}</AccessKeyId>
    <SecretAccessKey>${secretAccessKey}</SecretAccessKey>
    <SessionToken>${sessionToken}</SessionToken>
    <Expiration>${new Date(until).toISOString().slice(0, 19)}Z</Expiration>
  </Credentials>`;
  return `<${action}Response xmlns="${namespace}"><${action}Result>${user}${credentials}</${action}Result></${action}Response>`;
}
