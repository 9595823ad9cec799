import { KeyError } from './private-key.ts';

/** The longest life of an assertion and the skew that is granted to it, milliseconds. */
export const tokenMs = (300 + 60) * 1000;
/** How soon every process has heard of a new key, milliseconds. */
export const noticedMs = 5 * 60_000;
/** What is held at most, and published. */
export const maxKeys = 4;
/** A key made this long ago is past its rotation, unless it is announced for longer; milliseconds. */
export const settledMs = 60 * 60_000;

/** @throws KeyError for a key made so lately that the one before it may sign still, or have tokens that live; milliseconds */
export function refuseYoung(ageMs: number, announceMs = 0): void {
  const settled = Math.max(settledMs, announceMs + noticedMs + tokenMs);
  if (ageMs < settled) throw rotatingStill(`the key made last is younger than ${Math.ceil(settled / 60_000)} minutes`);
}

export const rotatingStill = (why: string): KeyError => new KeyError(`a rotation is under way: ${why}`);
