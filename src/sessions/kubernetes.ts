import type { Deadline } from '../lib/deadline.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import { trusting } from '../lib/trust.ts';
import { type AskOptions, askJson, UpstreamError } from '../lib/upstream.ts';
import { readProjectedToken, tokenSession } from './projected-token.ts';
import { keepSession, type Session, type SessionDeps } from './session.ts';

export interface KubernetesAccess {
  readonly server: string;
  readonly ca?: string | undefined;
  /** A projected service account token that is shown in place of an assertion. */
  readonly tokenFile?: string | undefined;
}

export interface KubernetesCall extends Pick<AskOptions, 'step' | 'maxBytes' | 'faultOf'> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** From `/api/` on, query included; made of checked parts only. */
  readonly path: string;
  /** Made once the bearer is there, where it says how long something is to last. */
  readonly body?: JsonObject | (() => JsonObject);
}

/** An API server that takes Hallpass for one of its users. */
export interface Kubernetes {
  /** One call; where the bearer is not taken, one new bearer and the call again. @throws UpstreamError, and Refusal of `assert` */
  ask(call: KubernetesCall, deadline: Deadline): Promise<JsonObject>;
}

/** The kubelet renews a projected token in place: read again after two thirds of this, milliseconds. */
const rereadMs = 90_000;

/** Opens an API server; the bearer is the assertion itself, or the projected token where a file of one is configured. */
export function openKubernetes({ server, ca, tokenFile }: KubernetesAccess, deps: SessionDeps): Kubernetes {
  const fetch = trusting(ca, deps);
  const base = server.replace(/\/$/, '');
  const session = keepSession(tokenFile === undefined ? assertion : () => projected(tokenFile), deps.now);

  async function assertion(deadline: Deadline): Promise<Session<string>> {
    if (deps.assert === undefined) throw new UpstreamError('denied', { step: 'login', reason: 'no_identity' });
    deps.step?.('assertion');
    return tokenSession(await deps.assert(deadline));
  }

  async function projected(file: string): Promise<Session<string>> {
    deps.step?.('login');
    const { value, expiresAt } = await readProjectedToken(file, deps);
    return { value, expiresAt: Math.min(expiresAt, deps.now() + rereadMs) };
  }

  function send({ method, path, body, ...options }: KubernetesCall, bearer: string, deadline: Deadline) {
    deps.step?.(options.step);
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const headers = { authorization: `Bearer ${bearer}`, accept: 'application/json', 'content-type': type };
    const init = {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(typeof body === 'function' ? body() : body) }),
    };
    return askJson(fetch, base + path, init, { ...options, deadline, codeOf });
  }

  return {
    async ask(call, deadline) {
      const bearer = await session.get(deadline);
      try {
        return await send(call, bearer, deadline);
      } catch (error) {
        if (!isRefused(error)) throw error;
      }
      session.drop(bearer);
      return send(call, await session.get(deadline), deadline).catch((error) => {
        throw isRefused(error)
          ? new UpstreamError('denied', { ...error.facts, reason: 'login_refused', cause: error })
          : error;
      });
    },
  };
}

/** `reason` of a `Status` object: `Forbidden`, `NotFound`, ... */
const codeOf = ({ reason }: JsonObject) => reason;

const isRefused = (error: unknown): error is UpstreamError =>
  error instanceof UpstreamError && error.facts.status === 401;
