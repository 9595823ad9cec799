import { sha256, toBase64 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { parseDuration } from '../../lib/time.ts';
import { type AskOptions, askJson, UpstreamError } from '../../lib/upstream.ts';
import type { GithubTokenConfig } from '../github-token.ts';
import type { KindDeps, ReadCredential } from '../kind.ts';
import { atTarget } from '../target-error.ts';
import { readGiven, tokenIn } from './answer.ts';
import { keepAppJwt } from './app-jwt.ts';

/** How long GitHub's tokens live, seconds. */
const life = 3600;
/** GitHub tells much of each repository. */
const bytesEach = 16_384;

type Call = Pick<AskOptions, 'step' | 'maxBytes'> & {
  readonly method: string;
  readonly path: string;
  readonly body?: JsonObject;
};

export function open(config: GithubTokenConfig, deps: KindDeps): ReadCredential {
  const { installation, permissions, repositories, repositoryIds } = config;
  const target = { kind: config.kind, name: deps.name, log: deps.log };
  const app = keepAppJwt(config, deps);
  const base = config.api.replace(/\/$/, '');
  const named = repositories === 'all' ? undefined : repositories;
  const count = (named ?? repositoryIds ?? []).length;
  const ask = {
    method: 'POST',
    path: `/app/installations/${installation}/access_tokens`,
    step: 'token',
    maxBytes: (count + 4) * bytesEach,
    body: {
      permissions,
      ...(named !== undefined && { repositories: named }),
      ...(repositoryIds !== undefined && { repository_ids: repositoryIds }),
    },
  };

  function send({ method, path, body, ...options }: Call, bearer: string, deadline: Deadline): Promise<JsonObject> {
    deps.step?.(options.step);
    const headers = {
      authorization: `Bearer ${bearer}`,
      accept: 'application/vnd.github+json',
      'x-github-api-version': '2022-11-28',
      'user-agent': 'hallpass',
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    return askJson(deps.fetch, base + path, init, { ...options, deadline, faultOf });
  }

  /** Where the App's proof is not taken, one new proof and the call again: the key in the store may be another by now. */
  async function asApp(deadline: Deadline): Promise<JsonObject> {
    const proof = await app.get(deadline);
    try {
      return await send(ask, proof, deadline);
    } catch (error) {
      if (statusOf(error) !== 401) throw error;
    }
    app.drop(proof);
    return send(ask, await app.get(deadline), deadline).catch((error) => {
      throw statusOf(error) === 401 ? new UpstreamError('denied', { ...error.facts, reason: 'login_refused' }) : error;
    });
  }

  async function revoke(token: string, deadline: Deadline): Promise<void> {
    const call = { method: 'DELETE', path: '/installation/token', step: 'revoke' };
    await send(call, token, deadline).catch((error) => {
      // A token that is gone cannot prove that it is.
      if (statusOf(error) !== 401) throw error;
    });
  }

  /** Nobody gets a token that is for more than was asked; it lives no longer than it takes to say so. */
  async function given(answer: JsonObject, token: string, deadline: Deadline) {
    try {
      return readGiven(answer, config, deps.now());
    } catch (error) {
      await atTarget(target, () => revoke(token, deadline)).catch(() => {});
      throw error;
    }
  }

  return {
    made: 'read',
    maxTtl: config.ttl === undefined ? life : (parseDuration(config.ttl) as number),
    life,
    read: ({ expiresAt, deadline }) =>
      atTarget(target, async () => {
        const answer = await asApp(deadline);
        const token = tokenIn(answer);
        const { endsAt, ...rest } = await given(answer, token, deadline);
        return {
          data: { token, ...rest },
          fingerprinted: new Secret(token),
          // As `hashed_token` in GitHub's own audit log; a token is too long to be guessed from it.
          account: toBase64(sha256(token)),
          kept: token,
          ...(endsAt < expiresAt && { expiresAt: endsAt }),
        };
      }),
    async end({ kept }, deadline) {
      if (kept === undefined) return false;
      await atTarget(target, () => revoke(kept, deadline));
      return true;
    },
  };
}

const statusOf = (error: unknown): number | undefined =>
  error instanceof UpstreamError ? error.facts.status : undefined;

/** A limit is 403 as often as 429, and said in words only. */
const faultOf = (status: number, { message }: JsonObject) =>
  status === 403 && typeof message === 'string' && /rate limit/i.test(message.slice(0, 500)) ? 'throttled' : undefined;
