const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of a duration such as `90s`, `15m`, `1h`, `7d`; undefined when it is none or overflows. */
export function parseDuration(text: string): number | undefined {
  const match = /^([1-9][0-9]{0,8})([smhd])$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (units[match[2] as string] as number);
}

/** RFC 3339 UTC with milliseconds, as records carry it. */
export const instantMs = (ms: number): string => new Date(ms).toISOString();

/** RFC 3339 UTC in whole seconds, rounded down, as answers carry it. */
export const instant = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

const instantPattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/;

/** Milliseconds since the epoch of an RFC 3339 instant in UTC with `Z`; undefined when it is none. */
export function parseInstant(text: string): number | undefined {
  if (!instantPattern.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || rollsOver(text, ms) ? undefined : ms;
}

/** The first whole millisecond at or after such an instant: what has milliseconds is at or after it from there on. */
export function parseInstantUp(text: string): number | undefined {
  const ms = parseInstant(text);
  return ms !== undefined && /\.\d{3}0*[1-9]/.test(text) ? ms + 1 : ms;
}

// Date.parse takes 31 February for a day of March, and 24:00 for the next day; an instant that is not as written is none.
function rollsOver(text: string, ms: number): boolean {
  const day = Number(text.slice(8, 10));
  return (day > 28 && new Date(ms).getUTCDate() !== day) || text.startsWith('24', 11);
}
