/** @param {readonly number[]} values @returns {number} */
export function medianOf(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Median, least and greatest, rounded to three digits. @param {readonly number[]} values */
export function summary(values) {
  const round = (value) => Number(value.toPrecision(3));
  return {
    median: round(medianOf(values)),
    min: round(Math.min(...values)),
    max: round(Math.max(...values)),
    n: values.length,
  };
}
