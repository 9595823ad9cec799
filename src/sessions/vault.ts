import type { Deadline } from '../lib/deadline.ts';
import { isJsonObject, type JsonObject } from '../lib/strict-json.ts';
import { trusting } from '../lib/trust.ts';
import { type AskOptions, askJson, UpstreamError } from '../lib/upstream.ts';
import { readProjectedToken, tokenFileOf } from './projected-token.ts';
import { keepSession, type Session, type SessionDeps } from './session.ts';
import type { VaultAccess } from './vault-access.ts';

export interface VaultCall extends Pick<AskOptions, 'step' | 'maxBytes' | 'faultOf'> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below `/v1/`, query included; made of checked parts only. */
  readonly path: string;
  readonly body?: JsonObject;
}

/** A Vault or OpenBao that Hallpass is logged in to. */
export interface Vault {
  /** One call; where the token has died, one new login and the call again. @throws UpstreamError, and Refusal of `assert` */
  ask(call: VaultCall, deadline: Deadline): Promise<JsonObject>;
  /** As `ask`, for what is leased: a lease ends with the token under which it was given. */
  lease(call: VaultCall, deadline: Deadline): Promise<{ readonly answer: JsonObject; readonly holder: LeaseHolder }>;
}

export interface LeaseHolder {
  /** By which the token can be looked up and renewed; a batch token has none. */
  readonly accessor?: string;
  /** Milliseconds since the epoch, where nobody renews it. */
  readonly endsAt: number;
}

interface Token extends LeaseHolder {
  readonly token: string;
  readonly renewable: boolean;
  /** Milliseconds it was first given for. */
  readonly lifeMs: number;
  endsAt: number;
}

/** A renewal leaves a login time of its own, milliseconds. */
const renewMs = 3_000;

/** Opens a Vault by its `jwt` or `kubernetes` auth method; a token of the operator's own is never taken. */
export function openVault(access: VaultAccess, deps: SessionDeps): Vault {
  const { auth, role, namespace } = access;
  const fetch = trusting(access.ca, deps);
  const base = `${access.address.replace(/\/$/, '')}/v1/`;
  let held: Token | undefined;
  const session = keepSession((deadline) => renew(deadline).then((kept) => kept ?? login(deadline)), deps.now);

  function send(call: VaultCall, token: string | undefined, deadline: Deadline): Promise<JsonObject> {
    const { method, path, body, ...options } = call;
    deps.step?.(call.step);
    const headers = {
      ...(token !== undefined && { 'x-vault-token': token }),
      ...(namespace !== undefined && { 'x-vault-namespace': namespace }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    return askJson(fetch, base + path, init, { ...options, deadline, codeOf }).catch((error) => {
      throw isFailure(error) && error.facts.code === 'sealed' ? because('sealed', error) : error;
    });
  }

  async function login(deadline: Deadline): Promise<Session<Token>> {
    const jwt = await proof(access, deps, deadline);
    const body = { jwt, ...(role !== undefined && { role }) };
    const call = { method: 'POST', path: `auth/${auth}/login`, step: 'login', body, faultOf: faultOfLogin } as const;
    const asked = deps.now();
    const answer = await send(call, undefined, deadline).catch((error) => {
      if (!isFailure(error) || error.fault !== 'denied') throw error;
      throw because(error.facts.code === 'clock_skew' ? 'clock_skew' : 'login_refused', error);
    });
    held = tokenOf(answer, asked);
    return { value: held, expiresAt: held.endsAt };
  }

  /** The session in hand for longer; undefined where it has to be begun anew. */
  async function renew(deadline: Deadline): Promise<Session<Token> | undefined> {
    const old = held;
    if (old?.renewable !== true) return undefined;
    const asked = deps.now();
    const call = { method: 'POST', path: 'auth/token/renew-self', step: 'renew', body: {} } as const;
    const renewed = await send(call, old.token, deadline.within(renewMs)).then(
      (answer) => tokenOf(answer, asked),
      () => undefined,
    );
    // Close to the most a token may live each renewal gives less: soon it would be renewed without end.
    if (renewed === undefined || renewed.lifeMs < old.lifeMs / 2) return undefined;
    old.endsAt = renewed.endsAt;
    return { value: old, expiresAt: old.endsAt };
  }

  async function isAlive(token: string, deadline: Deadline): Promise<boolean> {
    const call = { method: 'GET', path: 'auth/token/lookup-self', step: 'lookup' } as const;
    return send(call, token, deadline).then(
      () => true,
      (error) => !isFailure(error) || error.facts.status !== 403,
    );
  }

  async function lease(call: VaultCall, deadline: Deadline) {
    const holder = await session.get(deadline);
    try {
      return { answer: await send(call, holder.token, deadline), holder };
    } catch (error) {
      // A token that has died is 403 too, like a path that no policy gives.
      if (!isFailure(error) || error.facts.status !== 403 || (await isAlive(holder.token, deadline))) throw error;
    }
    session.drop(holder);
    if (held === holder) held = undefined;
    const fresh = await session.get(deadline);
    return { answer: await send(call, fresh.token, deadline), holder: fresh };
  }

  return { lease, ask: async (call, deadline) => (await lease(call, deadline)).answer };
}

/** What is shown at the login: a projected token where one is configured, an assertion, or the pod's own token. */
async function proof(access: VaultAccess, deps: SessionDeps, deadline: Deadline): Promise<string> {
  if (access.tokenFile === undefined && deps.assert !== undefined) {
    deps.step?.('assertion');
    return deps.assert(deadline);
  }
  const file = tokenFileOf(access.tokenFile, deps);
  if (file === undefined) throw new UpstreamError('denied', { step: 'login', reason: 'no_identity' });
  return (await readProjectedToken(file, deps)).value;
}

function tokenOf({ auth }: JsonObject, asked: number): Token {
  if (isJsonObject(auth)) {
    const { client_token: token, lease_duration: seconds, renewable, accessor } = auth;
    if (typeof token === 'string' && /^[\x21-\x7e]{1,4096}$/.test(token) && typeof seconds === 'number') {
      const lifeMs = seconds * 1000;
      const known = typeof accessor === 'string' && /^[\x21-\x7e]{1,256}$/.test(accessor) ? { accessor } : {};
      return { token, renewable: renewable === true, lifeMs, endsAt: asked + lifeMs, ...known };
    }
  }
  throw new UpstreamError('unreachable', { step: 'login', reason: 'unexpected_answer' });
}

/** A failed login is 400, whatever was wrong; 403 without the auth method, 404 without the namespace. */
const faultOfLogin = (status: number) => (status === 400 || status === 404 ? 'denied' : undefined);

// A Vault says what is wrong in a sentence only; these are of Vault and OpenBao alike.
const sentences: readonly (readonly [RegExp, string])[] = [
  [/sealed/, 'sealed'],
  [/versioned K\/V/, 'wrong_kv_version'],
  [/namespace not found/, 'no_such_namespace'],
  [/no handler for route/, 'no_such_mount'],
  [/role .* could not be found|invalid role/, 'no_such_role'],
  [/RSA decrypt|message authentication failed|invalid ciphertext/, 'wrong_ciphertext'],
  [/key not found/, 'no_such_key'],
  [/lease not found|lease expired/, 'no_such_lease'],
  [/not renewable/, 'not_renewable'],
  [/\((exp|nbf|iat)\)|expired|not yet valid|issued at/, 'clock_skew'],
  [/\(aud\)|audience/, 'wrong_audience'],
  [/\(sub\)|subject/, 'wrong_subject'],
  [/\(iss\)|issuer/, 'wrong_issuer'],
  [/claim/, 'wrong_claim'],
  [/signature|verifying token/, 'wrong_signature'],
];

/** No sentence of theirs is longer; one of megabytes would keep the patterns busy for hours. */
const maxSentence = 2_000;

function codeOf({ errors, warnings }: JsonObject): string | undefined {
  const said = [errors, warnings].flat().find((line) => typeof line === 'string') ?? '';
  const start = said.slice(0, maxSentence);
  return sentences.find(([pattern]) => pattern.test(start))?.[1];
}

const isFailure = (error: unknown): error is UpstreamError => error instanceof UpstreamError;

const because = (reason: string, error: UpstreamError): UpstreamError =>
  new UpstreamError(error.fault, { ...error.facts, reason, cause: error });
