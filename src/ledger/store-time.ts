/** A commit, or the opening after a fault, may take this long; milliseconds. */
export const storeTime = 2_000;
