import type { RotatorPlugIn } from '../rotator.ts';

/** Two login roles of PostgreSQL that take turns. */
export const postgres: RotatorPlugIn = {
  name: 'postgres',
  runtimes: ['node', 'lambda'],
  load: async () => await import('./postgres/open.ts'),
};
