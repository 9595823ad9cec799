import { problemOf } from '../../../src/http/problem.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { PendingState } from '../../../src/ledger/log-store.ts';
import type { WriterRights } from '../../../src/ledger/records/writer.ts';
import { decodeAppendRequest, encodeAppendResult, encodeEntries, encodeSuccession } from '../../../src/ledger/wire.ts';
import { Refusal } from '../../../src/lib/refusal.ts';
import { soon } from '../fixtures.ts';

/** The routes a writer uses, over a log at hand, for one writer whose token is not looked at. */
export function wireServer(log: () => Ledger, rights: WriterRights): (request: Request) => Promise<Response> {
  async function answer(request: Request): Promise<string> {
    const { pathname, searchParams } = new URL(request.url);
    if (request.method === 'POST' && pathname === '/v1/log/entries') {
      const asked = decodeAppendRequest(new Uint8Array(await request.arrayBuffer()));
      const { accept } = log();
      if (accept === undefined) throw new Error('the log takes no writers');
      return encodeAppendResult(await accept(asked, rights, soon()));
    }
    if (pathname === '/v1/log/issuances') {
      const state = searchParams.get('state') as PendingState;
      const after = searchParams.get('after') ?? undefined;
      const filter = { writer: rights.name, ...(after !== undefined && { after: Number(after) }) };
      return encodeEntries(await log().pending(state, soon(), filter));
    }
    if (pathname === '/v1/log/succession' && request.method === 'GET')
      return encodeSuccession((await log().reader?.succession(Number(searchParams.get('after')), soon())) ?? []);
    const id = /^\/v1\/log\/issuances\/([^/]+)$/.exec(pathname)?.[1];
    if (id !== undefined) return encodeEntries(await log().issuance(id, soon(), rights.name));
    if (pathname === '/readyz') return '{}';
    throw new Refusal('not_found', 'no_route');
  }

  return async (request) => {
    try {
      return new Response(await answer(request), { headers: { 'content-type': 'application/json' } });
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal('internal', 'bug', { cause: error });
      const { status, headers, body } = problemOf(refusal, 'request');
      return new Response(body, { status, headers });
    }
  };
}
