import type { JsonWebKey } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runCommand } from '../../src/cli/program.ts';
import { fakeTerminal } from '../cli/fake-terminal.ts';
import { makeSts } from '../fakes/aws-sts.ts';
import { refusal, startS3 } from '../fakes/s3.ts';
import { temporaryFolder } from '../support/server.ts';
import { audience, configFor, issuer, variables } from './scenario.ts';
import { startWorkerd } from './workerd-runner.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);

it('archives the closed logs of a Durable Object to a bucket, by its own assertion, in scheduled runs', async () => {
  const keys: JsonWebKey[] = [];
  const role = 'arn:aws:iam::123456789012:role/audit';
  const trust = { role, issuer: audience, subject: 'broker:pass.test', audience: 'sts.amazonaws.com', keys };
  const s3 = await startS3(makeSts([trust], Date.now));
  const at = { region: 'eu-west-1', endpoint: s3.server.url, sts: s3.server.url };
  const archive = { to: 's3://audit/pass', assume: role, ...at };
  const ledger = { kind: 'durable-object', binding: 'LEDGER', archive };
  const more = {
    roles: { keeper: { ledger: 'roll' } },
    grants: [{ name: 'keeps', identity: { issuer: 'ci', subject: 'keeper' }, may: ['keeper'] }],
  };
  const worker = await startWorkerd({
    config: configFor({ ledger, signer: { kind: 'local' }, more }),
    variables,
    folder,
  });
  try {
    const { keys: published } = (await (await worker.send('/.well-known/jwks.json')).json()) as { keys: JsonWebKey[] };
    keys.push(...published);
    const authorization = `Bearer ${issuer.token({ sub: 'keeper' })}`;
    expect((await worker.send('/v1/log/roll', { method: 'POST', headers: { authorization } })).status).toBe(200);
    s3.server.instead = ({ url }) => (url.pathname.includes('/tile/0/') ? refusal(503, 'SlowDown') : undefined);
    await worker.upkeep();
    expect(worker.log()).toContain('archive_failed');
    s3.server.instead = undefined;
    // What lies there already with the same bytes is read, and passed over.
    await worker.upkeep();
    expect([...s3.objects.keys()]).toContain('audit/pass/~1/checkpoint');
    expect(worker.log()).toContain('log_archived');

    s3.objects.forEach(({ bytes }, name) => {
      const file = join(folder, 'closed', name.replace('audit/pass/', ''));
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, bytes);
    });
    const key = (await (await worker.send('/v1/log/key')).text()).trim();
    const terminal = fakeTerminal({ folder });
    expect(await runCommand(['ledger', 'verify', '--tiles', 'closed', '--key', key], terminal)).toBe(0);
  } finally {
    await worker.end();
    await s3.server.close();
  }
});
