import { DurableObject } from 'cloudflare:workers';
import { answerLedgerCalls } from '../../../src/ledger/drivers/durable-object/answer.ts';
import { openObjectLedger } from '../../../src/ledger/drivers/durable-object/log.ts';
import type { ObjectStorage } from '../../../src/ledger/drivers/durable-object/storage.ts';
import { signerJwk } from '../../../src/ledger/drivers/durable-object/storage.ts';
import type { Minter } from '../../../src/ledger/records/writer.ts';
import { Refusal } from '../../../src/lib/refusal.ts';

// The Worker that durable-object.test.ts runs in workerd: the ledger's object, with its clock and its minter in the hands
// of the test. What the test says comes in headers; what is to be signed goes out by a service binding.

interface Env {
  readonly LEDGER: {
    idFromName(name: string): unknown;
    get(id: unknown): { fetch(request: Request): Promise<Response> };
  };
  readonly SIGN: { fetch(url: string, init: RequestInit): Promise<Response> };
}
interface Given {
  readonly origin: string;
  readonly writer: { readonly name: string; readonly instance: string; readonly version: string };
  readonly seed: readonly number[];
}

export class Ledger extends DurableObject {
  readonly #ctx: { readonly storage: ObjectStorage; abort(reason: string): void };
  readonly #env: Env;
  #answer: ((request: Request) => Promise<Response>) | undefined;
  #now = 0;
  #allowed = true;

  constructor(ctx: ConstructorParameters<typeof DurableObject>[0], env: Env) {
    super(ctx, env);
    this.#ctx = ctx as typeof ctx & { abort(reason: string): void };
    this.#env = env;
  }

  fetch(request: Request): Response | Promise<Response> {
    const told = JSON.parse(request.headers.get('x-test') as string) as { now: number; allowed: boolean; given: Given };
    this.#now = told.now;
    this.#allowed = told.allowed;
    const { pathname } = new URL(request.url);
    if (pathname === '/reset') this.#ctx.abort('reset by the test');
    if (pathname === '/hang') return new Promise(() => {});
    if (pathname === '/fail') throw new Error('the object fails');
    if (pathname === '/garbage') return new Response('<html>');
    if (pathname === '/signer') return Response.json(signerJwk(this.#ctx.storage));
    if (pathname === '/break') {
      this.#ctx.storage.sql.exec(new URL(request.url).searchParams.get('sql') as string);
      return new Response();
    }
    this.#answer ??= answerLedgerCalls(
      () => this.#open(told.given),
      this.#clock,
      () => {},
    );
    return this.#answer(request);
  }

  readonly #clock = () => this.#now;

  #open({ origin, writer, seed }: Given) {
    const minter: Minter = {
      check: () => {
        if (!this.#allowed) throw new Refusal('denied', 'mint_not_yours');
      },
      sign: async (mint) => {
        const answer = await this.#env.SIGN.fetch('https://sign.invalid/', {
          method: 'POST',
          body: JSON.stringify(mint),
        });
        if (!answer.ok) throw new Error('no signer');
        return answer.text();
      },
    };
    const platform = {
      runtime: 'workerd' as const,
      now: this.#clock,
      random: (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes)),
      fetch,
      log: () => {},
      env: {},
      instance: 'test',
    };
    const secrets = { checkpointKey: Uint8Array.from(seed), minter, keys: { assertions: [] } };
    return openObjectLedger(this.#ctx.storage, { platform, origin, writer, secrets });
  }
}

export default {
  fetch(request: Request, env: Env): Promise<Response> {
    return env.LEDGER.get(env.LEDGER.idFromName(request.headers.get('x-object') as string)).fetch(request);
  },
};
