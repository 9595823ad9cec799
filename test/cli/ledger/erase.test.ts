import { describe, expect, it } from 'vitest';
import { runCommand } from '../../../src/cli/program.ts';
import { newFolder, removeFolder } from '../../ledger/drivers/sqlite-fixture.ts';
import { audience, embeddedConfig } from '../../support/config.ts';
import { testIssuer } from '../../support/issuer.ts';
import { writeConfig } from '../../support/server.ts';
import { fakeTerminal } from '../fake-terminal.ts';

const server = 'https://pass.example.com';
const kept = { hold: 0, min: 0, live: 0, lockdown: 0, own: 0 };

async function run(args: readonly string[], answers: readonly (object | number)[], parts = {}) {
  const calls: Record<string, unknown>[] = [];
  const terminal = fakeTerminal({
    env: { HALLPASS_URL: server, HALLPASS_TOKEN: 'fake-token' },
    fetch: async (url, init) => {
      const answer = answers[calls.length] ?? 500;
      calls.push({ to: `${init.method} ${url.slice(server.length)}`, ...JSON.parse(String(init.body)) });
      if (typeof answer === 'object') return Response.json(answer);
      return Response.json({ code: 'ledger_unavailable', title: 'The ledger is down' }, { status: answer });
    },
    ...parts,
  });
  const named = ['--identity', 'ci:acme/shop@main', '--reason', 'request 17'];
  const code = await runCommand(['ledger', 'erase', ...named, ...args], terminal);
  return { code, calls, ...terminal.said };
}

describe('hallpass ledger erase', () => {
  it('calls until the run is over, and says how many were erased', async () => {
    const page = { erased: 256, kept, seen: 300, size: 400, next: 'AAAA' };
    const { code, calls, out, err } = await run(['--issuer', 'ci'], [page, { erased: 3, kept, seen: 400, size: 401 }], {
      errIsTerminal: true,
    });
    expect(code).toBe(0);
    expect(out).toBe('259 erased\n');
    expect(err).toContain('300 of 400 entries\n');
    const asked = { to: 'POST /v1/erasures', identity: 'ci:acme/shop@main', issuer: 'ci', reason: 'request 17' };
    expect(calls).toEqual([asked, { ...asked, cursor: 'AAAA' }]);
  });

  it('says what was kept and why, and exits 1', async () => {
    const answer = { erased: 1, kept: { ...kept, hold: 2, own: 1 }, seen: 9, size: 10 };
    const { code, out } = await run([], [answer]);
    expect(code).toBe(1);
    expect(out).toBe('1 erased\n2 kept: kept by a legal hold\n1 kept: your own: another person must erase them\n');
    expect(JSON.parse((await run(['--json'], [answer])).out)).toEqual({
      erased: 1,
      kept: { ...kept, hold: 2, own: 1 },
    });
  });

  it('says so where nothing matches', async () => {
    const { code, out, err } = await run([], [{ erased: 0, kept, seen: 9, size: 9 }]);
    expect([code, out]).toEqual([0, '0 erased\n']);
    expect(err).toContain('nothing matches: ');
    const json = await run(['--json'], [{ erased: 0, kept, seen: 9, size: 9 }]);
    expect([json.code, JSON.parse(json.out)]).toEqual([0, { erased: 0, kept }]);
    expect((await run([], [{ erased: 0, kept: { ...kept, hold: 1 }, seen: 9, size: 9 }])).err).toBe('');
  });

  it.each([
    ['--identity', 'developer', 'such as ci:acme/shop@main'],
    ['--before', 'yesterday', 'such as 2026-11-22T12:00:00Z'],
  ])('refuses %s %s before anything is sent', async (option, value, hint) => {
    const { code, calls, err } = await run([option, value], []);
    expect([code, calls]).toEqual([2, []]);
    expect(err).toContain(hint);
  });

  it('counts only, in a dry run', async () => {
    const { calls, out } = await run(['--dry-run'], [{ erased: 7, kept, seen: 9, size: 10, dryRun: true }]);
    expect(calls[0]).toMatchObject({ dryRun: true });
    expect(out).toBe('7 would be erased\n');
  });

  it('says where to go on when it is cut off', async () => {
    const { code, err } = await run([], [{ erased: 256, kept, seen: 300, size: 400, next: 'AAAA' }, 503]);
    expect(code).toBe(69);
    expect(err).toContain('go on with --cursor AAAA');
    expect((await run(['--cursor', 'AAAA'], [{ erased: 3, kept, seen: 4, size: 4 }])).calls).toMatchObject([
      { cursor: 'AAAA' },
    ]);
  });

  it('tells what was erased and kept by then, as who goes on is told only of the rest', async () => {
    const pages = [{ erased: 256, kept: { ...kept, hold: 2 }, seen: 300, size: 400, next: 'AAAA' }, 503];
    const { code, out } = await run([], pages);
    expect([code, out]).toEqual([69, '256 erased\n2 kept: kept by a legal hold\n']);
    const json = await run(['--json'], pages);
    expect(JSON.parse(json.out)).toEqual({ erased: 256, kept: { ...kept, hold: 2 }, next: 'AAAA' });
    expect((await run(['--cursor', 'AAAA'], [503])).out).toBe('');
  });

  it('has erased nothing in a dry run that is cut off', async () => {
    const { out, err } = await run(['--dry-run'], [{ erased: 7, kept, seen: 9, size: 10, next: 'AAAA' }, 503]);
    expect(out).toBe('7 would be erased\n');
    expect(err).toContain('what came before is counted; go on with --cursor AAAA');
  });

  it('comes to an end where the server gives the same page for ever', async () => {
    const page = { erased: 1, kept, seen: 3, size: 4, next: 'AAAA' };
    const { code, calls, err } = await run([], Array(20).fill(page));
    expect([code, calls.length]).toEqual([69, 11]);
    expect(err).toContain('the same page again and again');
    expect(err).toContain('go on with --cursor AAAA');
  });

  it('is refused as its server refuses', async () => {
    expect((await run([], [403])).code).toBe(77);
  });

  it('wants a reason and an identity', async () => {
    const terminal = fakeTerminal({});
    expect(await runCommand(['ledger', 'erase', '--identity', 'ci:x'], terminal)).toBe(2);
    expect(await runCommand(['ledger', 'erase', '--reason', 'x'], terminal)).toBe(2);
  });

  it('works on a config without a server, for who may erase there and nobody else', async () => {
    const folder = newFolder();
    const issuer = testIssuer('https://issuer.test', audience);
    const file = writeConfig(
      folder,
      embeddedConfig(folder, issuer, {
        roles: { eraser: { audit: 'erase' } },
        grants: [{ name: 'erase', identity: { issuer: 'ci', subject: 'eraser' }, may: ['eraser'] }],
      }),
    );
    const as = async (sub: string) => {
      const env = { HALLPASS_TOKEN: issuer.token({ sub }) };
      const terminal = fakeTerminal({ env, folder, fetch: () => Promise.reject(new Error('no network')) });
      const args = ['--config', file, '--identity', 'ci:somebody', '--reason', 'request 17'];
      return { code: await runCommand(['ledger', 'erase', ...args], terminal), ...terminal.said };
    };
    // The denial is a record about somebody, which the eraser then erases.
    expect((await as('somebody')).code).toBe(77);
    expect(await as('eraser')).toMatchObject({ code: 0, out: '1 erased\n' });
    removeFolder(folder);
  });
});
