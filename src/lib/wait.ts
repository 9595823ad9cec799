/**
 * Begins a wait of `ms`, and says whether it is over. By the platform's clock, which may be set back: then it is `ms` from when
 * that is noticed, at most.
 */
export function openWait(ms: number, now: () => number): () => boolean {
  let until = now() + ms;
  return () => {
    until = Math.min(until, now() + ms);
    return now() >= until;
  };
}
