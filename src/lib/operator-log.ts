import type { LogFacts, OperatorLog } from './platform.ts';
import { instantMs } from './time.ts';

// One entry per member of LogFacts: the compiler refuses a list that forgets or invents one.
const allowed: { readonly [fact in keyof Required<LogFacts>]: true } = {
  request: true,
  trace: true,
  method: true,
  route: true,
  status: true,
  code: true,
  reason: true,
  issuer: true,
  who: true,
  credential: true,
  kind: true,
  grant: true,
  store: true,
  sink: true,
  log: true,
  issuance: true,
  index: true,
  size: true,
  count: true,
  kid: true,
  path: true,
  url: true,
  error: true,
  ms: true,
  step: true,
  version: true,
  standby: true,
  state: true,
  generation: true,
};

const longest = 512;

/**
 * The operator's log as JSON lines: time, level, event and the allow-listed facts; anything else is dropped. Strings are
 * cut, anything shaped like a token is taken out, and all but printable ASCII is escaped, so that no claim can forge a
 * line or drive a terminal.
 */
export function jsonLines(write: (line: string) => void, now: () => number): OperatorLog {
  return (level, event, facts = {}) => {
    let line = `{"time":"${instantMs(now())}","level":"${level}","event":${quote(event)}`;
    for (const name in facts) {
      if (!Object.hasOwn(allowed, name)) continue;
      const value = facts[name as keyof LogFacts];
      if (typeof value === 'string') line += `,"${name}":${quote(value)}`;
      else if (typeof value === 'number' && Number.isFinite(value)) line += `,"${name}":${value}`;
    }
    write(`${line}}\n`);
  };
}

const plain = /^[ !#-[\]-~]*$/;
const tokenShaped = /eyJ[\w-]+(\.[\w-]*)*/g;

function quote(text: string): string {
  const short = text.length > longest ? text.slice(0, longest) : text;
  const safe = short.includes('eyJ') ? short.replace(tokenShaped, '[redacted]') : short;
  if (plain.test(safe)) return `"${safe}"`;
  return JSON.stringify(safe).replace(/[^\x20-\x7e]/g, escapeUnit);
}

const escapeUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Bytes that may wait for whoever reads the log: one that hangs costs lines, and not the server's memory. */
const mostWaiting = 4 * 1024 * 1024;

/** Writes to a stream that somebody reads, or does not; once it is read again, a line says how many there were between. */
export function toStream(
  stream: { readonly writableLength: number; write(text: string): unknown },
  now: () => number,
): (line: string) => void {
  let dropped = 0;
  const tell = jsonLines((line) => void stream.write(line), now);
  return (line) => {
    if (stream.writableLength > mostWaiting) {
      dropped++;
      return;
    }
    if (dropped > 0) tell('warn', 'log_dropped', { count: dropped });
    dropped = 0;
    stream.write(line);
  };
}
