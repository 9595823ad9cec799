/** Less than a commit may take: most of those who wait get their turn, and the others are told soon to come again. */
const mostMs = 1_500;

/** A store this slow is not slow because of the number of its writers. */
const mostPace = 32;

/** How one writer makes way for others at the head of a log. */
export interface Contention {
  /** A commit is about to be tried for the first time. */
  begin(): void;
  /** Others were faster, since the first try. */
  readonly losing: boolean;
  /** A commit was refused, or made, after so many milliseconds. */
  lost(took: number): void;
  won(took: number): void;
  /** How long a commit takes, milliseconds. */
  readonly pace: number;
  /** Within how many milliseconds to try again. */
  spread(): number;
}

/**
 * Writers that know of no other find out how many there are by losing: each loss makes the time within which a writer tries
 * again four times as long, from twice the time of a commit on.
 */
export function openContention(): Contention {
  let pace = 8;
  let losses = 0;
  const took = (ms: number): void => {
    pace += (Math.min(ms, mostPace) - pace) / 4;
  };

  return {
    begin() {
      losses = 0;
    },
    get losing() {
      return losses > 0;
    },
    lost(ms) {
      took(ms);
      losses++;
    },
    won: took,
    get pace() {
      return pace;
    },
    spread: () => Math.min(mostMs, 2 * pace * 4 ** Math.max(0, losses - 1)),
  };
}
