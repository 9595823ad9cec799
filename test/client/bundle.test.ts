import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundles } from '../../scripts/bundles.mjs';
import { receiptOf, signer } from './fake-hallpass.ts';

const mostGzip = 5000;

describe('hallpass/client as it is shipped', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-client-'));
  const file = join(folder, 'client.js');
  let bytes: Uint8Array;
  let imports: readonly string[];

  beforeAll(async () => {
    const { outputFiles, metafile } = await build({ ...bundles.client(folder), write: false });
    bytes = outputFiles?.[0]?.contents as Uint8Array;
    imports = Object.values(metafile?.outputs ?? {}).flatMap((output) => output.imports.map(({ path }) => path));
    await build({ ...bundles.client(folder), outExtension: { '.js': '.mjs' } });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it(`is at most ${mostGzip} bytes, compressed, and imports nothing`, () => {
    expect(imports).toEqual([]);
    expect(gzipSync(bytes).length).toBeLessThanOrEqual(mostGzip);
  });

  it('does nothing when it is imported, and works by itself on Node', async () => {
    const { createClient, HallpassError } = await import(pathToFileURL(file.replace('.js', '.mjs')).href);
    const answer = issued();
    const fetch = async () => Response.json(answer);
    const client = createClient({ url: 'https://pass.test', token: 'fake-token', ledgerKey: signer.vkey, fetch });
    expect(await client.getCredential('a')).toEqual(answer);
    await expect(createClient({ url: '', env: {} }).getCredential('a')).rejects.toBeInstanceOf(HallpassError);
  });

  it('works on workerd without any flag, receipts and signed requests included', async () => {
    const { Miniflare } = await import('miniflare');
    const workerd = new Miniflare({
      host: '127.0.0.1',
      modules: [
        { type: 'ESModule', path: 'worker.js', contents: worker },
        { type: 'ESModule', path: 'client.js', contents: new TextDecoder().decode(bytes) },
      ],
      compatibilityDate: '2026-04-01',
      bindings: { ANSWER: JSON.stringify(issued()), LEDGER_KEY: signer.vkey },
    });
    try {
      const answer = await workerd.dispatchFetch('https://worker.test/');
      expect(await answer.json()).toEqual({
        got: 'not-a-secret',
        refused: 'receipt_invalid',
        asked: ['https://sts.eu-west-1.amazonaws.com/', 'https://pass.test/v1/credentials/a'],
        elsewhere: 'no_token',
      });
    } finally {
      await workerd.dispose();
    }
  });
});

function issued() {
  const record = { credential: 'a', id: '01jd9m00000000000000000000', kind: 'secret', type: 'issuance' };
  return {
    id: record.id,
    credential: 'a',
    kind: 'secret',
    data: { value: 'not-a-secret' },
    lease: { expiresAt: '2026-11-22T12:10:00Z', ttl: 600, revocable: false, renewable: false },
    receipt: receiptOf(['{}', JSON.stringify(record), '{}'], 1),
  };
}

const worker = `
import { createClient } from './client.js';
export default {
  async fetch(_, env) {
    const answer = JSON.parse(env.ANSWER);
    const asked = [];
    const of = (answer) => ({
      url: 'https://pass.test',
      ledgerKey: env.LEDGER_KEY,
      env: { AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', AWS_SESSION_TOKEN: 'x' },
      fetch: async (url) => {
        asked.push(url);
        return url.includes('sts') ? new Response('<WebIdentityToken>a.b.c</WebIdentityToken>') : Response.json(answer);
      },
    });
    const code = (error) => error.code;
    const { data } = await createClient(of(answer)).getCredential('a');
    const seen = [...asked];
    const refused = await createClient(of({ ...answer, kind: 'jwt' })).getCredential('a').catch(code);
    const elsewhere = await createClient({ url: 'https://pass.test' }).getCredential('a').catch(code);
    return Response.json({ got: data.value, refused, asked: seen, elsewhere });
  },
};`;
