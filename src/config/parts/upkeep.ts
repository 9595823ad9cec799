import type { Broker } from '../../broker.ts';
import type { LiveRing } from '../../keys/live-ring.ts';
import type { Sweeper } from '../../leases/sweep.ts';
import type { Retention } from '../../ledger/erasure/retention.ts';
import { rollDue, rollTerms } from '../../ledger/going-on/rolls-due.ts';
import type { Standby } from '../../ledger/going-on/standby.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { Deadline } from '../../lib/deadline.ts';
import type { OperatorLog, Platform } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';
import type { Rotation } from '../../rotation/rotate.ts';
import type { Config } from '../config.ts';
import { inTurn } from './in-turn.ts';

/** What upkeep is done with; what is opened when it is first needed is a function here. */
export interface UpkeepDeps {
  readonly ledger: Ledger;
  /** Where this ledger followed another. */
  readonly standby: Standby | undefined;
  readonly ring: LiveRing | undefined;
  readonly broker: Pick<Broker, 'summarise'>;
  readonly sweeper: () => Promise<Sweeper>;
  readonly rotation: () => Promise<Rotation>;
  readonly retention: () => Promise<Retention | undefined>;
}

/** How much of a pass the sweeper may take. */
const sweepShare = 0.6;

/** All that is done now and then beside serving, one pass at a time. Rejects with the first failure when all is tried. */
export function openUpkeep(
  { ledger: settings, limits }: Pick<Config, 'ledger' | 'limits'>,
  { now, log }: Pick<Platform, 'now' | 'log'>,
  { ledger, standby, ring, broker, sweeper, rotation, retention }: UpkeepDeps,
): (deadline: Deadline) => Promise<void> {
  const { ledgerMs, storeMs } = limits;
  const rolling = rollTerms(settings);
  /** Only a ledger that is here may hold what its promotion could not erase. */
  let erased = ledger.elsewhere !== undefined;
  /** Why it could not, as it was said. */
  let left: string | undefined;

  /** What was erased there is shown here until it is erased here too. */
  async function eraseFollowed(deadline: Deadline): Promise<void> {
    try {
      await eraseLeft(deadline);
      if (left !== undefined) log('info', 'erasures_done');
      left = undefined;
    } catch (error) {
      const reason = reasonOf(error);
      if (left !== reason) log('error', 'erasures_left', { reason });
      left = reason;
      throw error;
    }
  }

  /** A ledger may have been promoted, and its config follow no other any more. */
  async function eraseLeft(deadline: Deadline): Promise<void> {
    if (standby !== undefined) return void (await standby.erased(deadline));
    if (erased) return;
    const { repeatLeft } = await import('../../ledger/going-on/followed-erasures.ts');
    await repeatLeft(ledger, deadline);
    erased = true;
  }

  async function rollLogs(deadline: Deadline): Promise<void> {
    if (rolling === undefined) return;
    for (const rolled of await rollDue(ledger, rolling, now(), deadline))
      if (rolled.done) log('info', 'log_rolled', { log: rolled.log });
  }

  return async (deadline) => {
    const refresh = ledger.refreshKeys ?? ring?.refresh;
    // A Durable Object that waits for its KMS must not keep open issuances from being undone.
    await refresh?.(deadline.within(storeMs)).catch((error) =>
      log('warn', 'keys_not_reread', { reason: reasonOf(error) }),
    );
    await inTurn([
      () => eraseFollowed(deadline.within(ledgerMs)),
      () => broker.summarise(deadline.within(ledgerMs)),
      // Of targets that hang there may be many: what is due at others has the rest of the time.
      async () => (await sweeper()).run(deadline.within(deadline.left() * sweepShare)),
      async () => (await rotation()).rotateDue(deadline),
      async () => (await retention())?.run(deadline),
      () => rollLogs(deadline.within(ledgerMs)),
      () => indexAll(ledger, deadline, log),
    ]);
  };
}

/** Reads into the indexes what the logs have more. It can wait: a question does a part of it by itself. */
async function indexAll(ledger: Ledger, deadline: Deadline, log: OperatorLog): Promise<void> {
  if (ledger.elsewhere !== undefined) return;
  const [{ askedOf }, { catchUp }] = await Promise.all([
    import('../../ledger/questions/questions.ts'),
    import('../../ledger/questions/catch-up.ts'),
  ]);
  await Promise.all(askedOf(ledger).map((one) => catchUp(one, deadline))).catch((error) => {
    log('warn', 'index_behind', { reason: reasonOf(error) });
  });
}

const reasonOf = (error: unknown): string => (error instanceof Refusal ? error.reason : 'internal');
