/** Between two attempts after so many failures in a row, milliseconds: doubled from one second to a minute. */
export const pauseAfter = (failures: number): number => Math.min(60_000, 1_000 * 2 ** Math.max(0, failures - 1));

/** The most that another side may have us wait, milliseconds. */
const patience = 300_000;

/** The same, but no sooner than was asked for. */
export const pauseAsked = (failures: number, retryAfter: number | undefined): number =>
  Math.max(pauseAfter(failures), Math.min(patience, (retryAfter ?? 0) * 1_000));
