import type { Deadline } from '../../lib/deadline.ts';
import { once } from '../../lib/once.ts';
import { generations } from '../generation.ts';
import {
  type AppendRequest,
  type AppendResult,
  everyWriter,
  type Ledger,
  type OwnKeys,
  pendingPage,
  type Texts,
} from '../ledger.ts';
import { parseRecord, type RecordText } from '../records/record.ts';
import { ownRights, type WriterRights } from '../records/writer.ts';
import { openAppends } from './appends.ts';
import { openDurableHead } from './durable-head.ts';
import { examine } from './examine.ts';
import type { LogDeps, LogParts } from './parts.ts';
import { openReader } from './reader.ts';
import { openTurns } from './turns.ts';

export type Log = Ledger &
  Required<Pick<Ledger, 'accept' | 'reader' | 'ownKeys' | 'texts' | 'erase' | 'roll' | 'claim' | 'adopt' | 'copy'>>;

/**
 * Opens a log over its tables.
 *
 * @throws DamagedLog, StoreFault
 */
export async function openLog(deps: LogDeps): Promise<Log> {
  const { store, signer, now, writer } = deps;
  const signers = generations(signer);
  const head = await openDurableHead({ ...deps, signers });
  const turns = openTurns({ ...deps, head });
  const { serially, alone, reading } = turns;
  const parts: LogParts = { ...deps, signers, head, turns };
  const reader = openReader({ store, signers, reading });
  const appends = openAppends(parts);
  // Asked for by few logs in their lives: no start reads it.
  const goingOn = once(async () => (await import('./going-on.ts')).openGoingOn(parts, reader));
  const own = ownRights(writer.name);

  function append(
    request: AppendRequest,
    rights: WriterRights,
    local: boolean,
    deadline: Deadline,
  ): Promise<AppendResult> {
    return appends.enqueue({ request, writer: rights, local, entries: examine(request, rights) }, deadline);
  }

  /** Its writer's name was verified where it was recorded first. */
  async function copy(text: RecordText, deadline: Deadline): Promise<void> {
    const request = { entries: [text], epoch: head.newest.epoch };
    const rights = ownRights(parseRecord(text.record).writer.name);
    const entries = examine(request, rights, true);
    await appends.enqueue({ request, writer: rights, local: true, entries, copied: true }, deadline);
  }

  /** Whoever comes over HTTP begins and ends no key of ours, even where the config gives it our own name. */
  const outside = (rights: WriterRights): WriterRights =>
    rights.name === writer.name ? { ...rights, types: without(rights.types, 'key') } : rights;

  const ownKeys: OwnKeys = {
    list: (from, deadline) => reading(deadline, async () => (await store.keys(writer.name, from, 1000)).map(toEntry)),
    async record(begin, end, deadline) {
      const request = { entries: [], epoch: head.newest.epoch };
      await appends.enqueue({ request, writer: own, local: true, entries: [], keys: { begin, end } }, deadline);
    },
  };

  const texts: Texts = {
    read: (name, deadline) => reading(deadline, () => store.text(name)),
    write: (name, was, text, deadline) =>
      reading(deadline, () => serially(() => store.keepText(name, was, text, deadline))),
  };

  return {
    origin: signer.name,
    append: async (request, deadline) => append(request, own, true, deadline),
    accept: async (request, rights, deadline) => append(request, outside(rights), false, deadline),
    issuance: (id, deadline, name = writer.name) =>
      reading(deadline, async () => {
        const story = await store.issuance(id);
        if (name === everyWriter) return story.map(toEntry);
        if (!story.some((entry) => entry.writer === name)) return [];
        return story.filter((entry) => entry.writer === name || entry.writer === writer.name).map(toEntry);
      }),
    pending: (state, deadline, { writer: name = writer.name, after = -1 } = {}) =>
      reading(deadline, async () => {
        const whose = name === everyWriter ? {} : { writer: name };
        return (await store.pending(state, { ...whose, before: now(), after, limit: pendingPage })).map(toEntry);
      }),
    key: async () => signer.vkey,
    keys: async () => deps.keys,
    ready: (deadline) => reading(deadline, appends.probe),
    reader,
    ownKeys,
    texts,
    copy,
    roll: (request, deadline) => alone(deadline, async () => (await goingOn()).roll(request)),
    claim: (checkpoint, deadline) => alone(deadline, async () => (await goingOn()).claim(checkpoint)),
    adopt: (copied, deadline) => alone(deadline, async () => (await goingOn()).adopt(copied)),
    erase: (positions, deadline) => reading(deadline, () => serially(() => store.erase(positions, deadline))),
    async close() {
      await appends.close();
      deps.gate?.close();
      await store.close();
    },
  };
}

const toEntry = ({ index, record, disclosure }: { index: number; record: string; disclosure: string | null }) => ({
  index,
  record,
  disclosure,
});

const without = <T>(all: ReadonlySet<T>, one: T): ReadonlySet<T> => new Set([...all].filter((each) => each !== one));
