import { expect, test } from 'vitest';
import { kinds } from '../../src/credentials/index.ts';
import { signers } from '../../src/keys/index.ts';
import { ledgerDrivers } from '../../src/ledger/index.ts';
import { sinks } from '../../src/sinks/index.ts';
import { stores } from '../../src/stores/index.ts';
import { sourcesIn } from './sources.ts';

const tests = (await sourcesIn('test')).filter(({ path }) => path.endsWith('.test.ts'));

/** The contract suite of each catalog, and the plug-ins that have to run it. */
const contracts = [
  ['describeStore', stores.map(({ name }) => name)],
  ['describeKind', kinds.map(({ name }) => name)],
  ['describeSigner', signers.map(({ name }) => name)],
  ['describeSink', sinks.map(({ name }) => name)],
  ['ledgerContract', ledgerDrivers.map(({ name }) => name)],
] as const;

const plugIns = contracts.flatMap(([suite, names]) => names.map((name) => [name, suite] as const));

test.each(plugIns)('%s runs its contract, %s', (name, suite) => {
  const call = new RegExp(`\\b${suite}\\(\\s*'${name}'`);
  expect(tests.filter(({ text }) => call.test(text)).map(({ path }) => path)).not.toEqual([]);
});
