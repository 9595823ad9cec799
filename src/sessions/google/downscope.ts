import type { Deadline } from '../../lib/deadline.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { askJson } from '../../lib/upstream.ts';
import type { Session, SessionDeps } from '../session.ts';
import { badAnswer, checkToken, refusedLogin } from './answer.ts';

const type = 'urn:ietf:params:oauth:token-type:access_token';

/**
 * A token that can do what `token` can and the boundary lets through; it ends no later. Unlike what it was made of, it
 * cannot be traded for one without the boundary. @throws UpstreamError
 */
export async function putBoundary(
  accessBoundary: object,
  token: Session<string>,
  {
    sts = 'https://sts.googleapis.com',
    ...deps
  }: Pick<SessionDeps, 'fetch' | 'now' | 'step'> & { sts?: string | undefined },
  deadline: Deadline,
): Promise<Session<string>> {
  const step = 'boundary';
  deps.step?.(step);
  const body = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    requested_token_type: type,
    subject_token: token.value,
    subject_token_type: type,
    options: JSON.stringify({ accessBoundary }),
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const init = { method: 'POST', headers, body: body.toString() };
  const codeOf = ({ error }: JsonObject) => error;
  const at = deps.now();
  const answer = await askJson(deps.fetch, `${sts}/v1/token`, init, { step, deadline, codeOf, faultOf: refusedLogin });
  const { access_token: value, token_type: kind, expires_in: seconds } = answer;
  if (typeof kind !== 'string' || kind.toLowerCase() !== 'bearer' || value === token.value) throw badAnswer(step);
  // The end is said only where it is known there; it is that of the token it was made of.
  const until = seconds === undefined ? token.expiresAt : at + secondsOf(seconds, step) * 1000;
  return { value: checkToken(value, step), expiresAt: Math.min(until, token.expiresAt) };
}

function secondsOf(value: unknown, step: string): number {
  if (typeof value !== 'number' || !(value > 0)) throw badAnswer(step);
  return value;
}
