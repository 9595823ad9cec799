import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Receipt } from '../../src/ledger/ledger.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import { freePort } from '../../test/support/free-port.ts';
import { repository, runCli, startServer, temporaryFolder, writeConfig } from '../../test/support/server.ts';
import { type Clouds, startClouds } from './clouds.ts';
import { startCluster } from './cluster.ts';

type Config = Record<string, Record<string, Record<string, unknown>>>;

const folderOfStory = join(repository, 'examples/cross-cloud');
const stores = { payments: 'aws-prod', mail: 'hub', maps: 'core', search: 'bao' } as const;

/** Starts a cluster's issuer, four clouds and Hallpass; true when a secret came out of each cloud, proved and recorded. */
export async function tellStory(say: (line: string) => void): Promise<boolean> {
  const { folder, remove } = temporaryFolder();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const ends: (() => Promise<unknown>)[] = [async () => remove()];
  try {
    say('1. Four clouds on this machine, each of which trusts one Hallpass and holds one secret');
    const clouds = await startClouds({ issuer: url, subject: `broker:127.0.0.1:${port}` }, say, ends);

    say('\n2. Hallpass, by examples/cross-cloud/hallpass.yaml with the addresses of this machine in it');
    const cluster = await startCluster(url);
    ends.unshift(cluster.close);
    const config = localConfig(url, cluster.issuer, clouds);
    const file = writeConfig(folder, config);
    say(indent(lastLines(runCli(['config', 'check', file]).stdout)));
    const server = await startServer(file, port);
    ends.unshift(() => server.stop());
    await clouds.trust();

    say('\n3. A pod shows the token its cluster gave it, and gets one secret out of each cloud');
    const key = (await (await fetch(`${url}/v1/log/key`)).text()).trim();
    let came = 0;
    for (const [credential, store] of Object.entries(stores)) {
      const told = await getOne(url, credential, cluster.token('checkout'), clouds.values[store], key);
      say(`   ${credential.padEnd(9)} from ${store.padEnd(9)} ${told ?? 'DID NOT COME'}`);
      if (told === undefined) say(indent(server.log()));
      else came++;
    }

    say('\n4. What the ledger keeps of how Hallpass proved itself: a session for each store');
    const query = await fetch(`${url}/v1/issuances?type=session`, {
      headers: { authorization: `Bearer ${cluster.token('auditor')}` },
    });
    const { items } = (await query.json()) as {
      items: { index: number; record: { store: string; audience: string } }[];
    };
    for (const { index, record } of items.reverse())
      say(`   record ${String(index).padEnd(3)} ${record.store.padEnd(9)} ${record.audience}`);

    const { code } = runCli(['ledger', 'verify', '--config', file]);
    say(`\n5. hallpass ledger verify reads the whole log again: ${code === 0 ? 'no finding' : `exit ${code}`}`);
    return came === 4 && code === 0 && new Set(items.map(({ record }) => record.store)).size === 4;
  } finally {
    for (const end of ends) await end();
  }
}

/** The config of the example, with this machine's addresses in place of the clouds' own. */
function localConfig(url: string, issuer: string, clouds: Clouds): Config {
  const config = parse(readFileSync(join(folderOfStory, 'hallpass.yaml'), 'utf8')) as Config;
  Object.assign(config.broker as object, { url });
  Object.assign(config.issuers?.shop as object, { issuer });
  for (const [name, addresses] of Object.entries(clouds.addresses))
    Object.assign(config.stores?.[name] as object, addresses);
  return config;
}

/** What came and how it is proved; undefined when it did not. */
async function getOne(url: string, credential: string, token: string, value: string, key: string) {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${url}/v1/credentials/${credential}`, { method: 'POST', headers });
  const body = (await response.json()) as { data?: { value: string }; receipt: Receipt };
  if (body.data?.value !== value) return undefined;
  verifyReceipt(body.receipt, key);
  return `${value.slice(0, 8)}... (${value.length} characters), record ${body.receipt.index}, receipt verified`;
}

const indent = (text: string) => text.trimEnd().replace(/^/gm, '   ');
const lastLines = (text: string) => text.trimEnd().split('\n').slice(-3).join('\n');
