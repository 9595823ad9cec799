import type { ExportFormat } from '../../http/issuances-query.ts';

const quote = 0x22;
const lineFeed = 0x0a;

/** Counts the records of an export by its lines as they come: all of them, but the head of CSV and what stands in quotes there. */
export function recordCount(format: ExportFormat): { see(bytes: Uint8Array): void; seen(): number } {
  const csv = format === 'csv';
  let quoted = false;
  let lines = csv ? -1 : 0;
  return {
    see(bytes) {
      for (const byte of bytes) {
        if (csv && byte === quote) quoted = !quoted;
        else if (byte === lineFeed && !quoted) lines++;
      }
    },
    seen: () => lines,
  };
}
