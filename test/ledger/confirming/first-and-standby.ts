import { afterAll, afterEach, beforeAll } from 'vitest';
import { confirmedLedger, settledReads } from '../../../src/config/parts/confirmed.ts';
import { openConfirming } from '../../../src/ledger/confirming/confirming.ts';
import type { Confirming, ConfirmTerms } from '../../../src/ledger/confirming/contract.ts';
import { pledgeIn, pledgeName } from '../../../src/ledger/confirming/pledge.ts';
import { openRelying, type Relying } from '../../../src/ledger/confirming/relying.ts';
import { openSqliteLedger } from '../../../src/ledger/drivers/sqlite/open.ts';
import type { Followed, Poll } from '../../../src/ledger/following.ts';
import { promote } from '../../../src/ledger/going-on/promote.ts';
import { openStandby, type Standby } from '../../../src/ledger/going-on/standby.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { AnswerGate } from '../../../src/ledger/log/parts.ts';
import type { RealPostgres } from '../../real-servers/postgres.ts';
import * as postgres from '../drivers/postgres-fixture.ts';
import { depsOf, newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, scribe, soon } from '../fixtures.ts';

// A first and its standby over SQLite files, in one process; or over the tables of one PostgreSQL. `closeEach` closes all after each test.

export const origin = 'pass.example.com/ledger';
export const terms: ConfirmTerms = { standby: 'frankfurt', within: 300 };
const clock = {
  get at() {
    return Date.now();
  },
  now: Date.now,
};
export const write = scribe(clock);
export const pledgeOf = async (ledger: Ledger) => pledgeIn(await ledger.texts?.read(pledgeName, soon()));

export interface First {
  readonly ledger: Ledger;
  readonly confirming: Confirming;
}

let folders: string[] = [];
let opened: Ledger[] = [];
/** What the operator's logs of all of them said. */
export const said: string[] = [];

export const folder = () => {
  const made = newFolder();
  folders.push(made);
  return made;
};

/** Opens the log of a first, which is given what holds its answers back. */
export type OpenLog = (gate: { readonly gate: AnswerGate }) => Promise<Ledger>;

const inFolder =
  (place: string): OpenLog =>
  (gate) =>
    openSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, { ...depsOf({}, place), ...gate });

export async function openFirst(
  place: string | OpenLog,
  given?: ConfirmTerms,
  serves = true,
  now: () => number = Date.now,
): Promise<First> {
  const confirming = openConfirming({
    ...(given && { terms: given }),
    serves,
    now,
    log: (_, event) => said.push(event),
  });
  const open = typeof place === 'string' ? inFolder(place) : place;
  const bare = await open({ gate: confirming });
  opened.push(bare);
  const ledger = settledReads(confirmedLedger(bare, confirming), confirming);
  await confirming.begin(soon()).catch(() => {});
  return { ledger, confirming };
}

export interface Follower {
  readonly own: Ledger;
  readonly standby: Standby;
  readonly relying: Relying;
}

/** `asked` comes between a question and its answer. */
export async function openFollower(
  of: () => First,
  name = terms.standby,
  place = folder(),
  asked: (poll: Poll, answer: Followed) => Promise<void> = async () => {},
): Promise<Follower> {
  const own = await openIn(place);
  opened.push(own);
  let instances = 0;
  const relying = openRelying(own.texts, { newInstance: () => `${opened.length}-${instances++}`, log: () => {} });
  const standby = openStandby(own, {
    now: Date.now,
    relying,
    async ask(_, after, deadline, said) {
      const { ledger, confirming } = of();
      const { reader } = ledger as Required<Ledger>;
      const poll = { name, after, ...said };
      const pledge = await confirming.polled(poll, deadline);
      const checkpoint = await reader.checkpoint(deadline);
      const answer = { copied: await reader.copy(after, 500, deadline), checkpoint, pledge };
      await asked(poll, answer);
      return answer;
    },
  });
  return { own, standby, relying };
}

export const issue = (ledger: Ledger, facts = {}) => ledger.append(asking(write.issuance(write.id(), facts)), soon());
export const follow = async (standby: Standby, times = 8) => {
  for (let time = 0; time < times; time++) await standby.follow(soon());
};
export const following = async <T>(standby: Standby, work: Promise<T>): Promise<T> => {
  let going = true;
  const done = work.finally(() => {
    going = false;
  });
  done.catch(() => {});
  while (going) {
    await standby.follow(soon());
    await new Promise((resolve) => setImmediate(resolve));
  }
  return done;
};
export const itself = (ledger: Ledger) =>
  promote(ledger, { checkpoints: [], onceAfter: 0, now: Date.now(), byItself: true }, soon);

/** Closes all that a test opened. Each file asks for it: files share a process, and this module runs once in it. */
export function closeEach(): void {
  afterEach(async () => {
    for (const ledger of opened) await ledger.close();
    for (const one of folders) removeFolder(one);
    [folders, opened] = [[], []];
    said.length = 0;
  });
}

/** A PostgreSQL for all tests of a file. */
export function usePostgres() {
  let server: RealPostgres;
  beforeAll(async () => {
    server = await postgres.startServer();
  });
  afterAll(() => server.remove());
  return {
    /** Tables of their own, over which as many processes are opened as are asked for. */
    async place(schema = postgres.newSchema()): Promise<OpenLog> {
      const at = postgres.depsOf(postgres.adminOf(server, schema));
      await postgres.initPostgresLedger(postgres.config, at);
      return (gate) => postgres.openShard(postgres.config, { ...at, ...gate }, undefined);
    },
    superuser: () => postgres.superuser(server),
  };
}
