import type { Deadline } from '../../lib/deadline.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { askJson, UpstreamError, type UpstreamFault } from '../../lib/upstream.ts';
import type { SessionDeps, SessionKeeper } from '../session.ts';

/** One call to Key Vault's REST API. */
export interface VaultCall {
  readonly step: string;
  readonly method: string;
  /** With query; must be on the vault's own origin. */
  readonly url: string;
  readonly body?: string | undefined;
}

/** @throws UpstreamError and nothing else, but what `assert` refuses */
export type AskVault = (call: VaultCall, deadline: Deadline) => Promise<JsonObject>;

const meanings: Readonly<Record<string, readonly [UpstreamFault, string]>> = {
  SecretDisabled: ['disabled', 'disabled'],
  KeyDisabled: ['disabled', 'disabled'],
  ObjectIsDeletedButRecoverable: ['invalid', 'deleted_but_recoverable'],
  ObjectIsBeingDeleted: ['invalid', 'being_deleted'],
};

/**
 * Asks one vault. The token goes to the configured origin and nowhere else: the links of a list are the vault's words. A
 * token that is no longer taken is dropped, and the call made once more with a new one.
 */
export function openVault(
  vault: string,
  session: SessionKeeper<string>,
  { fetch }: Pick<SessionDeps, 'fetch'>,
): AskVault {
  const { origin } = new URL(vault);

  return async ({ step, method, url, body }, deadline) => {
    if (!URL.canParse(url) || new URL(url).origin !== origin)
      throw new UpstreamError('unreachable', { step, reason: 'foreign_link' });
    const ask = (token: string) => {
      const headers = { authorization: `Bearer ${token}`, accept: 'application/json' };
      const init =
        body === undefined
          ? { method, headers }
          : { method, headers: { ...headers, 'content-type': 'application/json' }, body };
      return askJson(fetch, url, init, { step, deadline, codeOf, faultOf }).catch(explain);
    };
    const token = await session.get(deadline);
    try {
      return await ask(token);
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.facts.status !== 401) throw error;
      session.drop(token);
      return ask(await session.get(deadline));
    }
  };
}

/** The inner code is the finer one: a disabled secret is `Forbidden` outside. */
function codeOf({ error }: JsonObject): unknown {
  const { code, innererror: inner } = objectOf(error);
  return objectOf(inner).code ?? code;
}

const objectOf = (value: unknown): JsonObject =>
  typeof value === 'object' && value !== null ? (value as JsonObject) : {};

const meaningOf = (code: string | undefined) =>
  code !== undefined && Object.hasOwn(meanings, code) ? meanings[code] : undefined;

const faultOf = (_status: number, _body: JsonObject, code: string | undefined) => meaningOf(code)?.[0];

function explain(error: unknown): never {
  const meaning = error instanceof UpstreamError ? meaningOf(error.facts.code) : undefined;
  if (!(error instanceof UpstreamError) || meaning === undefined) throw error;
  throw new UpstreamError(error.fault, { ...error.facts, reason: meaning[1], cause: error });
}
