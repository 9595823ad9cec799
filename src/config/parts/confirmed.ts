import { openConfirming } from '../../ledger/confirming/confirming.ts';
import type { Confirming } from '../../ledger/confirming/contract.ts';
import type { Entry, Ledger } from '../../ledger/ledger.ts';
import type { AnswerGate } from '../../ledger/log/parts.ts';
import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import type { Metrics } from '../../lib/metrics.ts';
import type { Platform } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';
import { parseDuration } from '../../lib/time.ts';
import type { Config } from '../config.ts';

interface Confirm {
  readonly standby: string;
  readonly within: string;
}

export interface ConfirmedOptions {
  /** Whether this process serves, rather than being a command beside the server. */
  readonly serves: boolean;
  readonly metrics?: Pick<Metrics, 'add'>;
}

/** Opens a config's log, whose answers may have to wait; `open` is given what holds them back, as a driver takes it. */
export async function openConfirmed(
  config: Config,
  platform: Pick<Platform, 'now' | 'log'>,
  open: (held: { readonly gate?: AnswerGate }) => Promise<Ledger>,
  options: ConfirmedOptions,
): Promise<Ledger> {
  const confirming = confirmingFor(config, platform, options);
  if (confirming === undefined) return open({});
  const ledger = confirmedLedger(await open({ gate: confirming }), confirming);
  if (!options.serves) return ledger;
  // Nothing waits for it: the first answer does, where it is not done by then.
  begin(confirming, platform);
  return settledReads(ledger, confirming);
}

/** Undefined where the driver has no standby that could take over. */
function confirmingFor(
  { ledger }: Config,
  { now, log }: Pick<Platform, 'now' | 'log'>,
  { serves, metrics }: ConfirmedOptions,
): Confirming | undefined {
  if ((ledger.kind !== 'sqlite' && ledger.kind !== 'postgres') || Number(ledger.shards ?? 1) > 1) return undefined;
  const { standby, within } = (ledger.confirm ?? {}) as Partial<Confirm>;
  const terms =
    standby === undefined ? undefined : { standby, within: (parseDuration(within ?? '1s') as number) * 1000 };
  return openConfirming({ ...(terms && { terms }), serves, now, log, ...(metrics && { count: metrics.add }) });
}

/** The log, as it is to be used where its answers may have to wait. */
export function confirmedLedger(log: Ledger, confirming: Confirming): Ledger {
  const { reader, texts, roll, claim, origin } = log;
  if (reader?.treeAt === undefined || texts === undefined || roll === undefined) throw new Error('no log to confirm');
  const { head, treeAt } = reader;
  confirming.bind({ origin, texts, head, treeAt, roll });
  return {
    ...log,
    confirming,
    roll: confirming.roll,
    ...(claim && {
      async claim(checkpoint, deadline) {
        await claim(checkpoint, deadline);
        const { base, size } = await head(deadline);
        await confirming.settled(base + size, deadline);
      },
    }),
    async ready(deadline) {
      await confirming.ready(deadline);
      await log.ready(deadline);
    },
  };
}

/**
 * What a server reads of its own log to answer by: a write that was not confirmed in time is there all the same, and its
 * retry must not be answered by finding it. What has proofs of its own, and what the standby itself is sent, waits for nobody.
 */
export function settledReads(log: Ledger, { settled, ready }: Pick<Confirming, 'settled' | 'ready'>): Ledger {
  const { issuance, pending, reader } = log;
  if (reader === undefined) throw new Error('no log to confirm');
  const { head, list, entries, at, story } = reader;

  /** What is not there says something too: not by one that was replaced, and has not heard of it. */
  async function once<E extends Entry>(read: () => Promise<readonly E[]>, deadline: Deadline): Promise<readonly E[]> {
    await ready(deadline);
    const found = await read();
    const end = found.reduce((most, { index }) => Math.max(most, index + 1), 0);
    if (end > 0) await settled(end, deadline);
    return found;
  }

  return {
    ...log,
    issuance: (id, deadline, writer) => once(() => issuance(id, deadline, writer), deadline),
    async pending(state, deadline, filter) {
      // By what is pending leases are ended at their targets: not by one that was replaced, and has not heard of it.
      await ready(deadline);
      // What is not there any more says as much as what is.
      const found = await pending(state, deadline, filter);
      const { base, size } = await head(deadline);
      await settled(base + size, deadline);
      return found;
    },
    reader: {
      ...reader,
      list: (filter, deadline) => once(() => list(filter, deadline), deadline),
      entries: (from, to, deadline) => once(() => entries(from, to, deadline), deadline),
      ...(at && { at: (positions, deadline) => once(() => at(positions, deadline), deadline) }),
      story: (id, deadline) => once(() => story(id, deadline), deadline),
    },
  };
}

/** Takes back what its config does not promise any more, and says so; what fails is done again with the first append. */
function begin(confirming: Confirming, { now, log }: Pick<Platform, 'now' | 'log'>): void {
  confirming.begin(deadlineIn(beginMs, now)).catch((error) => {
    const reason = error instanceof Refusal ? error.reason : 'internal';
    if (reason !== 'closed') log('warn', 'ledger_not_answering', { reason });
  });
}

const beginMs = 5_000;
