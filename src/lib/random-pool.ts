const block = 4_096;

/**
 * Draws randomness in blocks, as a system call for each id or salt costs more than the rest of making it. For what is not
 * secret; keys and passwords are drawn one by one.
 */
export function randomPool(random: (bytes: number) => Uint8Array): (bytes: number) => Uint8Array {
  let pool = new Uint8Array(0);
  let used = 0;
  return (bytes) => {
    if (used + bytes > pool.length) {
      pool = new Uint8Array(random(Math.max(block, bytes)));
      used = 0;
    }
    used += bytes;
    return pool.subarray(used - bytes, used);
  };
}
