import { randomBytes } from 'node:crypto';
import { changeOf } from '../src/ledger/log/change.ts';
import { type Drafted, endOf } from '../src/ledger/log/draft.ts';
import type { LogStore } from '../src/ledger/log-store.ts';
import { disclose } from '../src/ledger/records/disclosure.ts';
import { type RecordText, recordText } from '../src/ledger/records/record.ts';
import type { NoteSigner } from '../src/ledger/tree/note.ts';
import { deadlineIn } from '../src/lib/deadline.ts';
import { instantMs } from '../src/lib/time.ts';
import { newUlid } from '../src/lib/ulid.ts';

const writer = { name: 'https://pass.example.com', instance: 'bench', version: '0.1.0' };
const drawn = { pool: randomBytes(0), at: 0 };
/** From a pool, as a call for each few bytes is what takes longest when millions of records are made. */
function random(bytes: number): Uint8Array {
  if (drawn.at + bytes > drawn.pool.length) Object.assign(drawn, { pool: randomBytes(65_536), at: 0 });
  drawn.at += bytes;
  return drawn.pool.subarray(drawn.at - bytes, drawn.at);
}
const url64 = (bytes: number): string => Buffer.from(random(bytes)).toString('base64url');
const inOneCommit = 5_000;

/** The n-th of many issuances, as a broker writes them: 50 credentials, 2,000 identities, 4 issuers. */
export function issuanceOf(n: number, time: number): RecordText & { readonly id: string } {
  const id = newUlid(time, random);
  const subject = `svc:app-${n % 2_000}`;
  const token = url64(32);
  const { disclosure, who } = disclose(
    { name: `ci-${n % 4}:team-${n % 20}/${subject}`, iss: 'https://issuer.test', subject, token, claims: {} },
    random,
  );
  const record = recordText({
    v: 1,
    type: 'issuance',
    id,
    time: instantMs(time),
    writer,
    request: newUlid(time, random),
    identity: { issuer: `ci-${n % 4}`, who },
    credential: `credential-${n % 50}`,
    kind: n % 2 === 0 ? 'secret' : 'jwt',
    store: 'here',
    version: '1',
    grant: `grant-${n % 100}`,
    epoch: 0,
    lease: { expiresAt: instantMs(time + 600_000), ttl: 600, account: `hp_${id}`, revocable: false },
    fingerprint: `hmac-sha256:${url64(32)}`,
    fingerprintKey: 'AAAAAAAAAAA',
  });
  return { id, record, disclosure };
}

/** Fills a log with issuances, one a millisecond up to now, in large commits. */
export async function fillLog(store: LogStore, signer: NoteSigner, rows: number): Promise<void> {
  const began = Date.now() - rows;
  for (let from = 0; from < rows; from += inOneCommit) {
    const head = await store.head();
    const first = endOf(head);
    const drafted = Array.from({ length: Math.min(inOneCommit, rows - from) }, (_, at): Drafted => {
      const { id, record, disclosure } = issuanceOf(from + at, began + from + at);
      return { index: first + at, id, type: 'issuance', issuance: id, writer: writer.name, record, disclosure };
    });
    const none = { issuances: [], spent: [], seen: [], lockdowns: [], held: [], freed: [], outcomes: [] };
    const found = { head } as Parameters<typeof changeOf>[0];
    const { change } = changeOf(found, { ...none, epoch: 0, drafted, now: Date.now() }, signer);
    await store.commit(change, deadlineIn(120_000, Date.now));
    if ((from / inOneCommit) % 50 === 0) process.stderr.write(`${from} of ${rows} rows\n`);
  }
}
