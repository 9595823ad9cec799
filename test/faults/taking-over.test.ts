import { afterAll, describe, expect, it } from 'vitest';
import { openPlace, type Place, until } from './first-and-standby.ts';

// Whatever becomes of the first, its standby takes over by itself: nothing acknowledged is lost, and there are no two logs of
// one name. The three run beside each other, as most of their time is waiting.

const places: Place[] = [];
afterAll(() => Promise.all(places.map((place) => place.close())));

async function place(): Promise<Place> {
  const opened = await openPlace();
  places.push(opened);
  // The promise begins with the second log.
  await opened.givenFrom(2, 30);
  return opened;
}

/** On a machine that is busy one may be confirmed too late: then it is done again. */
async function locked({ lock }: Place, grant: string): Promise<string> {
  let added = await lock(grant);
  for (let time = 0; added.status === 503 && time < 20; time++) added = await lock(grant);
  expect(added.status).toBe(201);
  return ((await added.json()) as { lockdown: { id: string } }).lockdown.id;
}

/** A connection that was kept may have ended while the other end stood still. */
const again = (ask: () => Promise<Response>) => ask().catch(ask);

describe.concurrent('a standby that takes over by itself', { timeout: 120_000 }, () => {
  it('goes on for a first that was killed under load, which answers nothing when it is started again', async () => {
    const { primary, url, lock, givenFrom, restart, lost } = await place();
    await primary.kill();
    await givenFrom(3, 20);
    // Also where it does not know that anybody waited for it.
    const back = await restart({});
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    for (let time = 0; time < 4; time++) expect((await lock('all')).status).toBe(503);
    expect(back.log()).toMatch(/confirm_promised|replaced/);
    expect(back.child.exitCode).toBeNull();
    expect(await lost()).toEqual([]);
  });

  it('goes on for a first that stood still, which answers nothing when it goes on', async () => {
    const opened = await place();
    const { primary, url, given, ask, token, lock, givenFrom, lost } = opened;
    let spent = '';
    const spend = async () => {
      spent = token('svc:spender');
      return (await ask('', spent)).status;
    };
    await until(async () => (await spend()) === 200, 10_000);
    await locked(opened, 'frozen');
    primary.child.kill('SIGSTOP');
    await givenFrom(3);
    expect((await ask('', spent)).body.code).toBe('replayed');
    expect((await ask('svc:spender')).status).toBe(200);
    expect((await ask('svc:frozen')).status).toBe(403);

    primary.child.kill('SIGCONT');
    const count = given.length;
    expect((await again(() => lock('spend'))).status).toBe(503);
    await until(() => primary.log().includes('replaced_by_standby'), 15_000);
    expect((await again(() => fetch(`${url}/readyz`))).status).toBe(503);
    expect((await again(() => lock('spend'))).status).toBe(503);
    await until(() => given.length > count + 20, 10_000);
    expect(primary.child.exitCode).toBeNull();
    expect(await lost()).toEqual([]);
  });

  it('goes on for a first that is cut off from it alone, which answers no retry by what it has', async () => {
    const opened = await place();
    const { primary, url, given, revoke, lock, cut, givenFrom, lost } = opened;
    const id = await locked(opened, 'frozen');
    cut();
    const lease = given.at(-1)?.id ?? '';
    for (let time = 0; time < 3; time++) await revoke(lease);
    expect((await lock('spend')).status).toBe(503);
    // The first one lands; the second finds that it did.
    for (let time = 0; time < 3; time++) expect((await lock('', 'DELETE', id)).status).toBe(503);
    await givenFrom(3, 20);
    expect((await lock('', 'DELETE', id)).status).toBe(503);
    await until(async () => (await fetch(`${url}/readyz`)).status === 503, 10_000);
    expect(primary.child.exitCode).toBeNull();
    expect(await lost()).toEqual([]);
  });
});
