import { setTimeout } from 'node:timers/promises';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import { exit, Failure } from '../failure.ts';
import type { Server } from '../server.ts';
import { shown, type Terminal } from '../terminal.ts';
import { itemsIn, type Writer } from './formats.ts';

/** Milliseconds between questions, and how many in a row may go unanswered: about a minute. */
const usual = { pollMs: 2_000, unanswered: 30 } as const;

/**
 * Prints the newest records and then what comes, the oldest first, until the command is ended. All of it is one query: each
 * answer says where the next one begins, so a server that is started anew meanwhile is asked on.
 */
export async function followIssuances(
  connect: (terminal: Pick<Terminal, 'fetch'>) => Promise<Server>,
  query: URLSearchParams,
  write: Writer,
  terminal: Terminal,
  { pollMs, unanswered }: { readonly pollMs: number; readonly unanswered: number } = usual,
): Promise<void> {
  const stopping = new AbortController();
  const stopped = terminal.stopped().then(() => stopping.abort());
  const fetch: Terminal['fetch'] = (url, init) => {
    const signal = init.signal ? AbortSignal.any([init.signal, stopping.signal]) : stopping.signal;
    return terminal.fetch(url, { ...init, signal });
  };
  let server = await connect({ fetch });
  let lost = 0;

  /** Whether to ask again, where no answer came. */
  function waitsFor(error: unknown): boolean {
    const away = error instanceof Failure && error.code === exit.unreachable;
    if (!away || !query.has('cursor') || ++lost > unanswered || stopping.signal.aborted) return false;
    if (lost === 1) terminal.err(`${error.message}; asking on\n`);
    return true;
  }

  while (!stopping.signal.aborted) {
    const path = `/v1/issuances?${query}`;
    const asked = server
      .call('GET', path, 'items')
      .catch(async (error) => {
        // A token that ended with the time; a new one may be had, and then the same is asked again.
        if (!(error instanceof Failure) || error.code !== exit.refused) throw error;
        server = await connect({ fetch });
        return server.call('GET', path, 'items');
      })
      .catch((error) => {
        if (waitsFor(error)) return 'none' as const;
        throw error;
      });
    const answer = await Promise.race([asked, stopped]);
    // What is on its way when the command is ended is given up.
    if (answer === undefined) return;
    if (answer !== 'none') {
      const { body } = answer;
      lost = 0;
      if (isJsonObject(body.cut)) terminal.err(cutText(body.cut));
      terminal.out(write.page(itemsIn(body).reverse()));
      if (typeof body.newer !== 'string')
        throw new Failure(exit.negative, 'this ledger has no index, so that it cannot be followed');
      query.set('cursor', body.newer);
      query.delete('limit');
    }
    await setTimeout(pollMs, undefined, { signal: stopping.signal }).catch(() => {});
  }
}

/** A ledger that was restored may have lost what was shown. */
const cutText = (cut: JsonObject): string =>
  Object.entries(cut)
    .map(
      ([log, position]) =>
        `${shown(log)} has fewer entries than were shown, as a ledger that was restored; going on at position ${shown(String(position))}\n`,
    )
    .join('');
