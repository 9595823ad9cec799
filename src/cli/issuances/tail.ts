import { setTimeout } from 'node:timers/promises';
import { exit, Failure } from '../failure.ts';
import type { Server } from '../server.ts';
import type { Terminal } from '../terminal.ts';
import { itemsIn, type Writer } from './formats.ts';

const pollMs = 2_000;

/**
 * Prints the newest records and then what comes, the oldest first, until the command is ended. All of it is one query: each
 * answer says where the next one begins.
 */
export async function followIssuances(
  connect: (terminal: Pick<Terminal, 'fetch'>) => Promise<Server>,
  query: URLSearchParams,
  write: Writer,
  terminal: Terminal,
): Promise<void> {
  const stopping = new AbortController();
  const stopped = terminal.stopped().then(() => stopping.abort());
  const fetch: Terminal['fetch'] = (url, init) => {
    const signal = init.signal ? AbortSignal.any([init.signal, stopping.signal]) : stopping.signal;
    return terminal.fetch(url, { ...init, signal });
  };
  let server = await connect({ fetch });
  while (!stopping.signal.aborted) {
    const path = `/v1/issuances?${query}`;
    const asked = server.call('GET', path).catch(async (error) => {
      // A token that ended with the time; a new one may be had, and then the same is asked again.
      if (!(error instanceof Failure) || error.code !== exit.refused) throw error;
      server = await connect({ fetch });
      return server.call('GET', path);
    });
    const answer = await Promise.race([asked, stopped]);
    // What is on its way when the command is ended is given up.
    if (answer === undefined) return;
    const { body } = answer;
    terminal.out(write.page(itemsIn(body).reverse()));
    if (typeof body.newer !== 'string')
      throw new Failure(exit.negative, 'this ledger has no index, so that it cannot be followed');
    query.set('cursor', body.newer);
    query.delete('limit');
    await setTimeout(pollMs, undefined, { signal: stopping.signal }).catch(() => {});
  }
}
