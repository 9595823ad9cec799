import type { Deployment } from '../config/deployment.ts';
import type { Platform } from '../lib/platform.ts';
import { startForwarding } from './forwarding.ts';
import { startUpkeep } from './upkeep.ts';

/** How long a server that was told to end takes at most, and beyond it the closing of its ledger; milliseconds. */
const endMs = 15_000;
const closeMs = 1_000;

/** What runs beside serving. */
export interface Beside {
  /** Begins nothing more; what is under way goes on. */
  stop(): void;
  /** What is under way, in words. */
  underWay(): readonly string[];
}

/** Starts the upkeep, the archiving and the copies to sinks. */
export function startBeside(
  { recover, archiver, forwarder }: Pick<Deployment, 'recover' | 'archiver' | 'forwarder'>,
  platform: Pick<Platform, 'now' | 'log'>,
): Beside {
  const parts = {
    upkeep: startUpkeep(recover, platform),
    archiving: archiver && startUpkeep(archiver.run, platform),
    'copies to sinks': startForwarding(forwarder, platform),
  };
  return {
    stop() {
      for (const part of Object.values(parts)) part?.stop();
    },
    underWay: () => Object.entries(parts).flatMap(([name, part]) => (part?.underWay() ? [name] : [])),
  };
}

/**
 * Closes a server whose process is to end: 15 s later `end` is called where something still keeps the process (a sink that
 * never answers). Nothing is lost by it: what was carried is known by durable cursors, and the next start goes on with the rest.
 */
export async function closeInTime(
  server: { close(): Promise<void>; underWay(): readonly string[] },
  { log }: Pick<Platform, 'log'>,
  end: () => void,
): Promise<void> {
  let open = true;
  const closing = server.close().finally(() => {
    open = false;
  });
  const cut = () => {
    const left = [...server.underWay(), ...(open ? ['closing'] : [])];
    log('warn', 'ended_under_way', { error: left.join(', ') || 'connections' });
    end();
  };
  // It keeps no process alive: one that has nothing left to do ends by itself. A drain that took all the time leaves the ledger to close.
  setTimeout(() => {
    if (!open) return cut();
    const last = setTimeout(cut, closeMs);
    closing.then(
      () => {
        clearTimeout(last);
        setTimeout(cut).unref();
      },
      () => {},
    );
  }, endMs).unref();
  await closing;
}
