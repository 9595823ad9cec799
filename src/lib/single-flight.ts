/**
 * Runs `work` once for all who ask for `key` while it is under way; a failure is shared and then forgotten. A flight
 * older than `maxMs` has lost its request (workerd ends work with the request that began it): the next who asks begins anew.
 */
export function singleFlight<T>(now: () => number, maxMs: number): (key: string, work: () => Promise<T>) => Promise<T> {
  const flights = new Map<string, { readonly done: Promise<T>; readonly at: number }>();
  return (key, work) => {
    const flying = flights.get(key);
    if (flying !== undefined && Math.abs(now() - flying.at) <= maxMs) return flying.done;
    const flight = {
      at: now(),
      done: work().finally(() => {
        if (flights.get(key) === flight) flights.delete(key);
      }),
    };
    flights.set(key, flight);
    return flight.done;
  };
}
