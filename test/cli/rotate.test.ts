import { describe, expect, it } from 'vitest';
import { runCommand } from '../../src/cli/program.ts';
import { fakeTerminal } from './fake-terminal.ts';

const server = 'https://pass.example.com';
const problem = (status: number, code: string, more = {}) =>
  Response.json({ status, code, title: 'No', detail: 'The detail.', ...more }, { status });

async function run(args: readonly string[], answer: () => Response) {
  const calls: string[] = [];
  const terminal = fakeTerminal({
    env: { HALLPASS_URL: server, HALLPASS_TOKEN: 'fake-token' },
    fetch: async (url, init) => {
      calls.push([init.method, url.slice(server.length), init.body].filter((part) => part !== undefined).join(' '));
      return answer();
    },
  });
  const code = await runCommand(['rotate', ...args], terminal);
  return { code, calls, ...terminal.said };
}

const report = { credential: 'orders-admin', version: '8', previous: '7' };

describe('rotate', () => {
  it('asks the server, and tells on stderr what is current and what was before', async () => {
    const { code, calls, out, err } = await run(['orders-admin'], () => Response.json(report));
    expect([code, out]).toEqual([0, '']);
    expect(calls).toEqual(['POST /v1/credentials/orders-admin/rotate']);
    expect(err).toBe(
      'orders-admin is now at version 8; version 7 was current before, and is handed out until caches have forgotten it\n',
    );
  });

  it('tells of no version before where there was none, and --json prints the answer', async () => {
    const { previous: _, ...first } = report;
    expect((await run(['orders-admin'], () => Response.json(first))).err).toBe('orders-admin is now at version 8\n');
    expect(JSON.parse((await run(['orders-admin', '--json'], () => Response.json(report))).out)).toEqual(report);
  });

  it('says force only with --force, and keeps a name in its place', async () => {
    expect((await run(['../x', '--force'], () => Response.json(report))).calls).toEqual([
      'POST /v1/credentials/..%2Fx/rotate {"force":true}',
    ]);
  });

  it.each([
    [429, 'rate_limited', 1],
    [404, 'not_found', 1],
    [403, 'denied', 77],
    [502, 'store_failed', 69],
  ])('ends with its code for a %d, and shows detail and hint', async (status, code, exit) => {
    const answer = () => problem(status, code, { hint: 'again after noon, or by force' });
    const { code: ended, err, out } = await run(['orders-admin'], answer);
    expect([ended, out]).toEqual([exit, '']);
    expect(err).toContain('The detail.');
    expect(err).toContain('again after noon, or by force');
  });
});
