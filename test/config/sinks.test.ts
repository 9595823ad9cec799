import { describe, expect, it } from 'vitest';
import { ConfigError, formatProblem, loadConfig } from '../../src/config/load.ts';
import type { Runtime } from '../../src/lib/platform.ts';

const withLedger = (ledger: string) => `
broker: { url: https://pass.example.com, signer: { kind: local, path: ./keys } }
ledger: ${ledger}
issuers: { ci: { issuer: https://ci.example } }
stores: { main: { kind: local, path: ./secrets } }
`;
const base = withLedger('{ kind: sqlite, path: ./ledger.db }');
const ref = '{ store: main, name: siem }';
const vkey = 'witness.example+7c4f5a2b+BAAA';
const options = (runtime: Runtime = 'node') => ({ file: 'h.yaml', runtime, env: {}, folder: '/srv/hallpass' });

const problemsOf = async (sink: string, runtime?: Runtime, start = base): Promise<string> => {
  try {
    await loadConfig(`${start}sinks: { a: ${sink} }\n`, options(runtime));
    return '';
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(formatProblem).join('\n');
  }
};

describe('the sinks of a config', () => {
  it('are taken with their defaults filled in', async () => {
    const text = `${base}sinks:\n  siem: { kind: splunk-hec, url: https://hec.example.com, token: ${ref}, types: [denial] }\n`;
    const { config } = await loadConfig(text, options());
    expect(config.sinks.siem).toMatchObject({ format: 'native', batch: 500, disclosures: false, since: 'start' });
  });

  it.each([
    [
      's3',
      '{ kind: s3, bucket: logs, region: eu-west-1 }',
      '{ kind: s3, bucket: logs, region: eu-west-1, send: records, format: ocsf }',
    ],
    ['file', '{ kind: file, path: ./audit.ndjson }', '{ kind: file, path: ./audit.ndjson, types: [denial] }'],
    ['file', '{ kind: file, path: ./audit.ndjson }', '{ kind: file, path: .//./audit.ndjson }'],
    ['file', '{ kind: file, path: audit.ndjson }', '{ kind: file, path: ./audit.ndjson }'],
  ])('of kind %s may not both write to one place, where one would be taken for the other', async (_, a, b) => {
    expect(await problemsOf(`${a}, b: ${b}`)).toContain('writes where a writes');
    expect(await problemsOf(`${a}, b: ${b.replace('audit', 'denials').replace('bucket: logs', 'bucket: more')}`)).toBe(
      '',
    );
  });

  it.each([
    ['a kind that there is not', '{ kind: syslog }', 'there is no kind "syslog" here'],
    ['a type of record that there is not', '{ kind: stdout, types: [denail] }', 'did you mean denial?'],
    [
      'a header that is ours',
      `{ kind: http, url: https://h.example, headers: { Content-Type: ${ref} } }`,
      'Hallpass’s own to say',
    ],
    [
      'a signature by hand',
      `{ kind: otlp, url: https://h.example, headers: { webhook-id: ${ref} } }`,
      'Hallpass’s own to say',
    ],
    ['a URL that is not https', '{ kind: http, url: "http://siem.example.com/in" }', 'http is for loopback only'],
    ['a secret in place of its REF', '{ kind: splunk-hec, url: https://h.example, token: abc }', 'expected a mapping'],
    [
      'a store that there is not',
      '{ kind: http, url: https://h.example, key: { store: none, name: k } }',
      'there is no store "none"',
    ],
    [
      'a format of another kind',
      `{ kind: otlp, url: https://h.example, format: cloudevents }`,
      'expected native or ocsf',
    ],
    [
      'a key that lives long',
      '{ kind: s3, bucket: logs, region: eu-west-1, accessKeyId: x }',
      'long-lived keys are never taken',
    ],
    [
      'an audience without a role',
      '{ kind: s3, bucket: logs, region: eu-west-1, audience: a }',
      'audience goes with assume',
    ],
    ['a prefix that leads out', '{ kind: s3, bucket: logs, region: eu-west-1, prefix: "/../" }', 'expected a prefix'],
    [
      'a witness whose key is of another type',
      `{ kind: witness, url: https://w.example, key: "${vkey}" }`,
      'cosignature/v1',
    ],
    ['a sink of a ledger that is elsewhere', '{ kind: stdout }', 'copied from there'],
  ])('are refused with %s', async (about, sink, problem) => {
    const elsewhere = withLedger('{ kind: http, url: https://l.example, key: "l.example+00000000+AAAA" }');
    expect(await problemsOf(sink, 'node', about.includes('elsewhere') ? elsewhere : base)).toContain(problem);
  });

  it('are refused on a Worker where they need files', async () => {
    expect(await problemsOf('{ kind: file, path: ./audit.ndjson }', 'workerd')).toContain(
      'file runs on node, not on workerd',
    );
    expect(await problemsOf('{ kind: http, url: https://h.example, ca: ./ca.pem }', 'workerd')).toContain(
      'can be pinned on node',
    );
  });

  it('share no audience with a door of Hallpass where they log in', async () => {
    const s3 =
      '{ kind: s3, bucket: logs, region: eu-west-1, assume: "arn:aws:iam::123456789012:role/logs", audience: "https://pass.example.com" }';
    expect(await problemsOf(s3)).toContain('give this sink an audience of its own');
  });
});
