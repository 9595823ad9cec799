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
};

const longest = 512;

/** The operator's log as JSON lines: time, level, event and the allow-listed facts; anything else is dropped. */
export function jsonLines(write: (line: string) => void, now: () => number): OperatorLog {
  return (level, event, facts = {}) => {
    const line: Record<string, unknown> = { time: instantMs(now()), level, event };
    for (const [name, value] of Object.entries(facts)) {
      if (!Object.hasOwn(allowed, name)) continue;
      if (typeof value === 'string') line[name] = value.slice(0, longest);
      else if (typeof value === 'number' && Number.isFinite(value)) line[name] = value;
    }
    write(`${JSON.stringify(line)}\n`);
  };
}
