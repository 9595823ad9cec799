import { pick } from '../lib/catalog.ts';
import type { Deadline } from '../lib/deadline.ts';
import { once } from '../lib/once.ts';
import type { Runtime } from '../lib/platform.ts';
import { carryCheckpoints } from './carry-checkpoints.ts';
import { carryRecords } from './carry-records.ts';
import { type Courier, type CourierDeps, openCourier, type Route } from './courier.ts';
import { sinks as catalog } from './index.ts';
import type { SinkSettings } from './settings.ts';
import type { SinkDeps } from './sink.ts';
import type { SinkSource } from './source.ts';

/** Carries copies of what is in the ledger to sinks. Several processes may do so at once: each entry comes at least once. */
export interface Forwarder {
  /** One for each sink and each log; they wait for nobody. */
  readonly couriers: readonly Courier[];
  /** Carries to all, side by side, what there is; in a Worker, whose calls are counted, one pass of each. Never rejects. */
  run(deadline: Deadline): Promise<void>;
}

export interface ForwarderDeps extends CourierDeps {
  readonly runtime: Runtime;
  /** What a sink of the config is opened with. */
  readonly depsOf: (name: string) => SinkDeps;
}

/** `entries` as their kinds' schemas accepted them. */
export function openForwarder(
  entries: Readonly<Record<string, SinkSettings>>,
  sources: readonly SinkSource[],
  deps: ForwarderDeps,
): Forwarder {
  const couriers = Object.entries(entries).flatMap(([sink, settings]) => {
    const open = once(async () => (await pick(catalog, settings.kind).load()).open(settings, deps.depsOf(sink)));
    return sources.map((source) => courierOf({ sink, settings, source, open, now: deps.now }, deps));
  });
  return {
    couriers,
    async run(deadline) {
      const carry = async (courier: Courier): Promise<void> => {
        while ((await courier.pass(deadline)) && deps.runtime !== 'workerd');
      };
      await Promise.all(couriers.map(carry));
    },
  };
}

function courierOf(route: Route, deps: CourierDeps): Courier {
  const carry = route.settings.send === 'checkpoints' ? carryCheckpoints(route) : carryRecords(route, deps.log);
  return openCourier(route, carry, deps);
}
