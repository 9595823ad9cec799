export interface TileAddress {
  readonly level: number | 'entries';
  readonly n: number;
  /** Hashes or entries wanted, 1 to 256. */
  readonly width: number;
}

const path = /^(entries|[0-9]|[1-5][0-9]|6[0-3])\/((?:x[0-9]{3}\/){0,4}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

/** Reads `{level}/{n...}[.p/{w}]` in its one canonical spelling (C2SP tlog-tiles); undefined for anything else. */
export function parseTilePath(text: string): TileAddress | undefined {
  const match = path.exec(text);
  if (match === null) return undefined;
  const [, level, number, partial] = match as unknown as [string, string, string, string | undefined];
  if (number.startsWith('x000/')) return undefined;
  const width = partial === undefined ? 256 : Number(partial);
  if (width > 255 && partial !== undefined) return undefined;
  return { level: level === 'entries' ? level : Number(level), n: Number(number.replace(/[x/]/g, '')), width };
}
