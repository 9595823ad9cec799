import { describe, expect, it } from 'vitest';
import * as s from '../../src/lib/schema/index.ts';
import { env as plugIn } from '../../src/stores/env.ts';
import { stores } from '../../src/stores/index.ts';
import { openStores } from '../../src/stores/open.ts';
import { describeStore, faultOf, soon } from '../contracts/store.ts';
import { storesDeps } from './deps.ts';

async function make(env: Record<string, string | undefined> = {}) {
  const config = s.parse(plugIn.schema, { kind: 'env' }) as { kind: 'env' };
  const all = openStores({ here: config }, storesDeps({ env }));
  return {
    store: await all.open('here'),
    async seed(name: string, value: string) {
      env[`HALLPASS_SECRET_${name}`] = value;
      return 'env';
    },
    provoke: {},
  };
}

const never = 'a variable is there or it is not';
describeStore(
  'env',
  { writable: false, never: { denied: never, disabled: never, unreachable: never, slow: never } },
  () => make(),
);

describe('env', () => {
  it('reads nothing but what begins with its prefix', async () => {
    const { store } = await make({
      AWS_SECRET_ACCESS_KEY: 'not-a-key',
      HALLPASS_SECRET_: 'x',
      'HALLPASS_SECRET_a-b': 'x',
    });
    expect(await store.list(soon())).toEqual([]);
    expect(await faultOf(store.get('', undefined, soon()))).toBe('absent');
    expect(await faultOf(store.get('a-b', undefined, soon()))).toBe('absent');
  });

  it('says absent for a variable set to nothing', async () => {
    const { store } = await make({ HALLPASS_SECRET_EMPTY: '' });
    expect(await faultOf(store.get('EMPTY', undefined, soon()))).toBe('absent');
    expect(await store.list(soon())).toEqual([]);
  });

  it('runs everywhere', () => {
    expect(stores.find(({ name }) => name === 'env')?.runtimes).toEqual(['node', 'lambda', 'workerd']);
  });

  it.each(['', '1ABC', 'A B', 'A='])('refuses the prefix %j', (prefix) => {
    expect(s.safeParse(plugIn.schema, { kind: 'env', prefix }).success).toBe(false);
  });
});
