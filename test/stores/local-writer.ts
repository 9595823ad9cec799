import { deadlineIn } from '../../src/lib/deadline.ts';
import { Secret } from '../../src/lib/secret.ts';
import { openStores } from '../../src/stores/open.ts';
import { storesDeps } from './deps.ts';

/** A process of its own that writes versions of one secret and reports their numbers. */
const [folder, name, count] = process.argv.slice(2) as [string, string, string];
const entry = { kind: 'local', path: 'secrets-here' };
const store = await openStores({ local: entry }, storesDeps({ folder })).open('local');
const versions: string[] = [];
for (let i = 0; i < Number(count); i++)
  versions.push((await store.put('A', new Secret(`${name}-${i}`), deadlineIn(20_000, Date.now))).version);
process.send?.(versions, () => process.disconnect());
