import type { RotatorPlugIn } from '../rotator.ts';

/** Two users of MySQL or MariaDB that take turns. */
export const mysql: RotatorPlugIn = {
  name: 'mysql',
  runtimes: ['node', 'lambda'],
  load: async () => await import('./mysql/open.ts'),
};
