import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/server.ts';
import { audience, variables } from './scenario.ts';
import { type RunningWorkerd, startWorkerd } from './workerd-runner.ts';

/** A Worker without any issuer: it asks through its binding and says what it got. */
const script = `export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const headers = searchParams.has('token') ? { authorization: 'Bearer ' + searchParams.get('token') } : {};
    const answer = await env.HALLPASS.fetch('${audience}/v1/credentials' + pathname, { method: 'POST', headers });
    return new Response(await answer.text(), { status: answer.status });
  },
};`;

const config = {
  broker: { url: audience, signer: { kind: 'local' } },
  ledger: { kind: 'durable-object', binding: 'LEDGER' },
  issuers: { edge: { kind: 'worker-binding', audience } },
  credentials: { partner: { kind: 'jwt', audience: 'https://api.partner.example' } },
  grants: [{ name: 'shop', identity: { issuer: 'edge', worker: 'shop' }, may: ['partner'], ttl: '5m' }],
};

let place: ReturnType<typeof temporaryFolder>;
let workerd: RunningWorkerd;
beforeAll(async () => {
  place = temporaryFolder();
  const callers = {
    shop: { script, props: { audience, worker: 'shop' } },
    other: { script, props: { audience, worker: 'other' } },
    elsewhere: { script, props: { audience: 'https://elsewhere.example', worker: 'shop' } },
    bare: { script },
  };
  workerd = await startWorkerd({ config, variables, folder: place.folder, callers });
});
afterAll(async () => {
  await workerd?.end();
  place?.remove();
});

interface Answer {
  readonly data: { readonly token: string };
  readonly receipt: { readonly disclosure: string };
}

const ask = async (caller: string, query = '') => {
  const answer = await workerd.sendTo(caller, `/partner${query}`);
  return { status: answer.status, body: (await answer.json()) as Answer };
};

describe('a Worker that has no issuer', () => {
  it('gets a credential as the one its binding names, and the record says who it was', async () => {
    const { status, body } = await ask('shop');
    expect(status).toBe(200);
    expect(body.data.token.split('.')).toHaveLength(3);
    const [, disclosed] = JSON.parse(Buffer.from(body.receipt.disclosure, 'base64url').toString());
    expect(disclosed).toMatchObject({ name: 'edge:shop', subject: 'shop', claims: { worker: 'shop' } });
  });

  it('is denied what its name has no grant for', async () => {
    expect(await ask('other')).toMatchObject({ status: 403, body: { code: 'denied' } });
  });

  it('is nobody without props, and with those of another broker', async () => {
    for (const caller of ['bare', 'elsewhere'])
      expect(await ask(caller)).toMatchObject({ status: 401, body: { code: 'token_invalid' } });
  });

  it('shows no token besides', async () => {
    expect(await ask('shop', '?token=a.b.c')).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });

  it('does not become somebody by coming over HTTP', async () => {
    const answer = await workerd.send('/v1/credentials/partner', { method: 'POST' });
    expect(answer.status).toBe(401);
  });
});
