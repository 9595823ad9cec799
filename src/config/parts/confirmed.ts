import { type Confirming, openConfirming } from '../../ledger/confirming/confirming.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { AnswerGate } from '../../ledger/log/parts.ts';
import { deadlineIn } from '../../lib/deadline.ts';
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
  // Nothing waits for it: the first answer does, where it is not done by then.
  if (options.serves) begin(confirming, platform);
  return ledger;
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
        const { generation, base, size } = await head(deadline);
        await confirming.hold(generation, () => base + size, 1);
      },
    }),
    async ready(deadline) {
      await confirming.ready(deadline);
      await log.ready(deadline);
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
