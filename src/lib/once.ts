/** Runs `work` for the first caller and shares its result with all later ones; after a failure the next caller runs it again. */
export function once<A extends readonly unknown[], T>(work: (...args: A) => Promise<T>): (...args: A) => Promise<T> {
  let done: Promise<T> | undefined;
  return (...args) => {
    done ??= work(...args).catch((error) => {
      done = undefined;
      throw error;
    });
    return done;
  };
}
