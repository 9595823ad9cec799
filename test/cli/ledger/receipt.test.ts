import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommand } from '../../../src/cli/program.ts';
import type { Ledger, Receipt } from '../../../src/ledger/ledger.ts';
import { newFolder, openIn, removeFolder } from '../../ledger/drivers/sqlite-fixture.ts';
import { asking, clockAt, policyHash, scribe, soon } from '../../ledger/fixtures.ts';
import { fakeTerminal } from '../fake-terminal.ts';

const write = scribe(clockAt(Date.now()));
let folder: string;
let ledger: Ledger;
let key: string;
let receipt: Receipt;
/** Of a renewal of what `receipt` is of, and of a denial. */
let renewed: Receipt;
let denied: Receipt;

beforeAll(async () => {
  folder = newFolder();
  ledger = await openIn(folder);
  key = await ledger.key(soon());
  const issuance = write.id();
  const { lease, credential, kind } = JSON.parse(write.issuance(issuance).record);
  const renewal = write.write('renewal', {
    epoch: 0,
    policy: policyHash,
    issuance,
    credential,
    kind,
    grant: 'checkout',
    lease,
  });
  const { receipts } = await ledger.append(asking(write.denial(), write.issuance(issuance)), soon());
  [denied, receipt] = receipts as [Receipt, Receipt];
  [renewed] = (await ledger.append(asking(renewal), soon())).receipts as [Receipt];
});
afterAll(async () => {
  await ledger.close();
  removeFolder(folder);
});

/** The fake terminal reaches nobody. */
async function verify(value: unknown, ...args: string[]) {
  await writeFile(join(folder, 'receipt.json'), typeof value === 'string' ? value : JSON.stringify(value));
  const terminal = fakeTerminal({ folder });
  const code = await runCommand(['ledger', 'verify', '--receipt', 'receipt.json', ...args], terminal);
  return { code, ...terminal.said };
}

it('is good by itself, and as a member of the answer it came with', async () => {
  const { log, index } = receipt;
  const size = Number(receipt.proof.split(`${log}\n`)[1]?.split('\n')[0]);
  const { id, credential } = JSON.parse(receipt.record);
  for (const value of [
    receipt,
    { id, credential, data: { value: 'not-a-secret' }, receipt },
    { access_token: 'not-a-secret', hallpass_id: id, hallpass_receipt: receipt },
  ]) {
    const { code, out, err } = await verify(value, '--key', key);
    expect([code, out]).toEqual([0, '']);
    expect(err).toBe(`the receipt is good: its record is entry ${index} of ${log}, which had ${size} entries\n`);
  }
  expect(JSON.parse((await verify(receipt, '--key', key, '--json')).out)).toEqual({ log, index, size, findings: [] });
});

it.each<[string, (good: Receipt) => object]>([
  ['wrong_index', (good) => ({ ...good, index: good.index - 1 })],
  ['not_included', (good) => ({ ...good, record: good.record.replace('issuance', 'issuanse') })],
  ['wrong_log', (good) => ({ ...good, log: 'another.example.com/ledger' })],
  ['wrong_disclosure', (good) => ({ ...good, disclosure: 'WyJzYWx0Iix7fV0' })],
  ['proof_malformed', (good) => ({ ...good, proof: '' })],
])('proves nothing where it was changed: %s', async (reason, change) => {
  const { code, out, err } = await verify(change(receipt), '--key', key);
  expect([code, err]).toEqual([1, 'the receipt proves nothing\n']);
  expect(out).toMatch(new RegExp(`^\\S+ entry \\d+: ${reason}: the receipt does not verify\n$`));
  const json = JSON.parse((await verify(change(receipt), '--key', key, '--json')).out);
  expect(json.findings).toEqual([{ code: reason, message: 'the receipt does not verify' }]);
  expect(json).not.toHaveProperty('size');
});

it('is that of a renewal too, which the answer tells by the issuance', async () => {
  const { issuance: id, credential, kind } = JSON.parse(renewed.record);
  expect(await verify({ id, credential, kind, receipt: renewed }, '--key', key)).toMatchObject({ code: 0, out: '' });
  const another = await verify({ id: JSON.parse(renewed.record).id, credential, kind, receipt: renewed }, '--key', key);
  expect(another).toMatchObject({ code: 1, out: expect.stringContaining('wrong_answer') });
});

it('proves nothing of an answer where it is of a record that hands nothing over', async () => {
  const { id } = JSON.parse(denied.record);
  expect((await verify(denied, '--key', key)).code).toBe(0);
  const { code, out } = await verify({ id, receipt: denied }, '--key', key);
  expect([code, out]).toEqual([1, expect.stringContaining('wrong_answer')]);
});

it.each([
  { id: '01jd9m00000000000000000000' },
  { hallpass_id: '01jd9m00000000000000000000' },
  { credential: 'another' },
  { kind: 'another' },
])('proves nothing of an answer that it did not come with: %o', async (other) => {
  const { id, credential } = JSON.parse(receipt.record);
  const { code, out, err } = await verify({ id, credential, ...other, receipt }, '--key', key);
  expect([code, err]).toEqual([1, 'the receipt proves nothing\n']);
  expect(out).toContain(': wrong_answer: the receipt is of another issuance than the answer');
});

it('is checked with the key as it is known, and never with another log beside', async () => {
  expect((await verify(receipt)).code).toBe(2);
  expect((await verify(receipt, '--key', 'foo')).code).toBe(2);
  for (const more of [
    ['--tiles', 'x'],
    ['--url', 'https://pass.test'],
    ['--config', 'x'],
    ['--shards', '2'],
    ['--since', 'x'],
  ])
    expect(await verify(receipt, '--key', key, ...more)).toMatchObject({
      code: 2,
      err: 'hallpass: --receipt goes with --key and --json only\n',
    });
});

it.each(['', '<html>', '[]', '{}', '{"receipt":{}}', '{"log":"a","index":"1","record":"","proof":""}'])(
  'is no receipt: %s',
  async (text) => {
    const { code, out, err } = await verify(text, '--key', key);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain('receipt.json is no receipt\n  `hallpass get NAME --field receipt');
  },
);

it('is wrong usage where it is not there', async () => {
  const terminal = fakeTerminal({ folder });
  expect(await runCommand(['ledger', 'verify', '--receipt', 'gone.json', '--key', key], terminal)).toBe(2);
  expect(terminal.said.err).toBe('hallpass: --receipt gone.json cannot be read\n');
});
