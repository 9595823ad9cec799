import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { parseInstant } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import type { GithubTokenConfig } from '../github-token.ts';

export interface Given {
  /** `owner/name` of each, or `all`. */
  readonly repositories: readonly string[] | 'all';
  readonly permissions: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly endsAt: number;
}

/** Tokens have been of 40 characters and of hundreds; they are taken as they come. @throws UpstreamError */
export function tokenIn({ token }: JsonObject): string {
  if (typeof token !== 'string' || !/^[\x21-\x7e]{1,4096}$/.test(token)) throw refuse('unexpected_answer');
  return token;
}

/** What the token is for, when that is no more than was asked for. @throws UpstreamError unexpected_answer, wider_than_asked */
export function readGiven(answer: JsonObject, asked: GithubTokenConfig, now: number): Given {
  const endsAt = typeof answer.expires_at === 'string' ? parseInstant(answer.expires_at) : undefined;
  if (endsAt === undefined || endsAt <= now) throw refuse('unexpected_answer');
  const permissions = permissionsIn(answer.permissions, asked.permissions);
  return { repositories: repositoriesIn(answer.repositories, asked), permissions, endsAt };
}

const levels = ['read', 'write', 'admin'];

function permissionsIn(given: Json | undefined, asked: GithubTokenConfig['permissions']): Record<string, string> {
  if (!isJsonObject(given)) throw refuse('unexpected_answer');
  return Object.fromEntries(
    Object.entries(given).map(([name, level]) => {
      // GitHub gives this one to every token, asked for or not.
      const most = Object.hasOwn(asked, name) ? asked[name] : name === 'metadata' ? 'read' : undefined;
      const rank = levels.indexOf(String(level));
      if (most === undefined || rank < 0 || rank > levels.indexOf(most)) throw refuse('wider_than_asked');
      return [name, levels[rank] as string];
    }),
  );
}

function repositoriesIn(given: Json | undefined, asked: GithubTokenConfig): Given['repositories'] {
  if (asked.repositories === 'all') return 'all';
  // Without a list the token is for all of the installation's.
  if (!Array.isArray(given)) throw refuse('wider_than_asked');
  const names = new Set(asked.repositories?.map((name) => name.toLowerCase()));
  const ids = new Set(asked.repositoryIds);
  return given.map((repository) => {
    const { id, full_name: name } = isJsonObject(repository) ? repository : {};
    const own = typeof name === 'string' ? /^[\w.-]{1,100}\/([\w.-]{1,100})$/.exec(name)?.[1] : undefined;
    if (own === undefined || typeof id !== 'number') throw refuse('unexpected_answer');
    if (!names.has(own.toLowerCase()) && !ids.has(id)) throw refuse('wider_than_asked');
    return name as string;
  });
}

const refuse = (reason: string) => new UpstreamError('unreachable', { step: 'token', reason });
