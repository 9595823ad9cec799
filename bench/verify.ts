// A ledger file of N issuances, verified as `hallpass ledger verify` does, beside the bare SHA-256 of the same records on one
// core. Says both as JSON, with the peak of memory.
import { hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspectSqliteLedger } from '../src/ledger/drivers/sqlite/inspect.ts';
import { openSqliteLedger } from '../src/ledger/drivers/sqlite/open.ts';
import { openBook, subjectOf } from '../src/ledger/erasure/book.ts';
import { verifyLog } from '../src/ledger/verify/verify.ts';
import { deadlineIn } from '../src/lib/deadline.ts';
import { instantMs } from '../src/lib/time.ts';

const [entries, rounds] = process.argv.slice(2).map(Number) as [number, number];
const batch = 256;
const folder = mkdtempSync(join(tmpdir(), 'hallpass-bench-'));
const file = { kind: 'sqlite' as const, path: 'ledger.db' };
const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes));
const writer = { name: 'https://pass.example.com', instance: 'bench', version: '0' };

try {
  await fill();
  const { source, close } = await inspectSqliteLedger(file, folder);
  const records: string[] = [];
  for (let from = 0; from < entries; from += 2_048)
    records.push(...(await source.entries(from, from + 2_048)).map(({ record }) => record));
  const figures = [];
  for (let round = 0; round < rounds; round++) {
    const bare = timed(() => {
      // The soonest that Node makes one of a text: a Buffer for each digest costs half as much again.
      for (const record of records) hash('sha256', record);
    });
    const began = performance.now();
    const { size, findings } = await verifyLog(source, { needIntent: new Set(['postgres']) });
    const verified = performance.now() - began;
    if (findings.length > 0) throw new Error(`found ${JSON.stringify(findings[0])}`);
    figures.push({ bare: (records.length * 1000) / bare, verify: (size * 1000) / verified });
  }
  await close();
  console.log(JSON.stringify({ figures, peakMiB: Math.round(process.resourceUsage().maxRSS / 1024) }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function fill(): Promise<void> {
  const platform = {
    runtime: 'node' as const,
    now: Date.now,
    random,
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    folder,
    instance: 'bench',
  };
  const secrets = { checkpointKey: new Uint8Array(32).fill(7), keys: { assertions: [] } };
  const workerUrl = pathToFileURL(process.env.HALLPASS_COMMIT_WORKER ?? '');
  const deps = { platform, origin: 'pass.example.com/ledger', writer, secrets };
  const ledger = await openSqliteLedger(file, deps, { workerUrl });
  const hashed = { hash: `sha256:${'p'.repeat(43)}`, grants: 1, credentials: 1 };
  const book = openBook({ ledger, policy: hashed, writer, now: Date.now, random });
  const identity = {
    issuer: 'shop',
    iss: 'https://issuer.example',
    subject: 'checkout',
    name: 'shop:checkout',
    token: 't',
  };
  for (let at = 0; at < entries; at += batch) {
    const now = Date.now();
    const lease = { expiresAt: instantMs(now + 600_000), ttl: 600, revocable: false };
    const made = Array.from({ length: Math.min(batch, entries - at) }, () =>
      book.write(
        'issuance',
        {
          request: book.newId(),
          credential: 'stripe-key',
          kind: 'secret',
          store: 'aws-prod',
          version: '3',
          grant: 'checkout',
          policy: hashed.hash,
          epoch: 0,
          lease,
          fingerprint: `hmac-sha256:${'f'.repeat(43)}`,
          fingerprintKey: 'fingerprint',
        },
        subjectOf(identity as never, { namespace: 'shop', serviceAccount: 'checkout' }, { address: '192.0.2.1' }),
      ),
    );
    await book.appendAll(made, deadlineIn(20_000, Date.now));
  }
  await ledger.close();
}

function timed(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}
