import { readFileSync } from 'node:fs';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { openBroker } from '../support/broker.ts';

/** A broker that rotates once and is killed at one step of it; run as a process of its own. */
const [config = '', folder = '', commitWorker = '', credential = '', step = ''] = process.argv.slice(2);

const { deployment } = await openBroker(JSON.parse(readFileSync(config, 'utf8')), folder, {
  env: process.env,
  commitWorker: new URL(commitWorker),
});
const dieAt = (here: string) => {
  if (here === step) process.kill(process.pid, 'SIGKILL');
};

const { ledger } = deployment;
const { append } = ledger;
ledger.append = async (request, deadline) => {
  const [{ type = '', step: name = type } = {}] = request.entries.map(({ record }) => JSON.parse(record));
  dieAt(`before ${name} is recorded`);
  const result = await append(request, deadline);
  dieAt(`after ${name} is recorded`);
  return result;
};
const store = await deployment.openStore('here');
const { put } = store;
store.put = async (...what) => {
  dieAt('before it is written');
  const written = await put(...what);
  dieAt('after it is written');
  return written;
};

await deployment.rotate(credential, deadlineIn(12_000, Date.now), { force: true });
process.exit(1);
