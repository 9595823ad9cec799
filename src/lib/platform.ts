export type Runtime = 'node' | 'lambda' | 'workerd';

/** What a runtime gives the rooms: they read no clock, environment, network or randomness of their own. */
export interface Platform {
  readonly runtime: Runtime;
  /** Milliseconds since the epoch. */
  now(): number;
  random(bytes: number): Uint8Array;
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** A fetch that trusts these certificates (PEM) and no others; absent where the runtime cannot (workerd). */
  readonly fetchTrusting?: ((ca: string) => Promise<(url: string, init: RequestInit) => Promise<Response>>) | undefined;
  /** Reads a small file, relative to the config's folder; absent where there is no file system. */
  readonly readFile?: ((path: string) => Promise<Uint8Array>) | undefined;
  readonly log: OperatorLog;
  /** Variables of the environment, and the string bindings of a Worker. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Bindings of a Worker that are not strings, such as a Durable Object namespace. */
  readonly bindings?: Readonly<Record<string, unknown>>;
  /** The folder that relative paths of the config count from; absent where there is no file system. */
  readonly folder?: string;
  /** The script that commits SQLite transactions, where it is not the one beside the bundle. */
  readonly commitWorker?: URL;
  /** This process, isolate or sandbox; goes into `writer.instance`. */
  readonly instance: string;
}

export type LogLevel = 'info' | 'warn' | 'error';

/** Members a line of the operator's log may carry; anything else is dropped (no secret, token or claim ever). */
export interface LogFacts {
  request?: string;
  trace?: string;
  method?: string;
  route?: string;
  status?: number;
  code?: string;
  reason?: string;
  issuer?: string;
  who?: string;
  credential?: string;
  kind?: string;
  grant?: string;
  store?: string;
  sink?: string;
  log?: string;
  issuance?: string;
  index?: number;
  size?: number;
  count?: number;
  kid?: string;
  path?: string;
  url?: string;
  error?: string;
  ms?: number;
  step?: string;
  version?: string;
  standby?: string;
  state?: string;
  generation?: number;
}

export type OperatorLog = (level: LogLevel, event: string, facts?: LogFacts) => void;
