import { isLoopbackHost } from '../../../lib/url.ts';

/** Where the tables are, and as whom. Holds a password: never to be shown. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** Verified TLS; without it on loopback only. */
  readonly tls: boolean;
  readonly schema: string;
}

/** A URL that is not as it must be; the message shows nothing of it. */
export class BadAddress extends Error {
  override readonly name = 'BadAddress';
  constructor(what: string) {
    super(`ledger.url: what the store holds is no postgres://user:password@host:port/database (${what})`);
  }
}

const defaultSchema = 'hallpass_ledger';

/**
 * Reads `postgres://user:password@host[:port]/database[?schema=NAME][&sslmode=..]`. Every sslmode with TLS means verified
 * TLS here; `disable` is for loopback, where it is the default.
 *
 * @throws BadAddress
 */
export function readAddress(text: string): PostgresAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol)) throw new BadAddress('another form');
  const { hostname, port, searchParams } = url;
  const [user, password, database] = [url.username, url.password, url.pathname.slice(1)].map(decoded) as [
    string,
    string,
    string,
  ];
  if (hostname === '') throw new BadAddress('no host');
  if (user === '' || database === '' || database.includes('/')) throw new BadAddress('no user or database');
  for (const name of searchParams.keys())
    if (name !== 'schema' && name !== 'sslmode') throw new BadAddress('it may end in ?schema= and &sslmode= only');
  const schema = searchParams.get('schema') ?? defaultSchema;
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) throw new BadAddress('schema: small letters, digits and _');
  const host = hostname.replace(/^\[|\]$/g, '');
  const tls = usesTls(host === '::1' || isLoopbackHost(host), searchParams.get('sslmode'));
  return { host, port: port === '' ? 5432 : Number(port), database, user, password, tls, schema };
}

function usesTls(loopback: boolean, mode: string | null): boolean {
  if (mode === null) return !loopback;
  if (/^(require|verify-ca|verify-full)$/.test(mode)) return true;
  if (mode === 'disable' && loopback) return false;
  throw new BadAddress('sslmode: verify-full; without TLS on loopback only');
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new BadAddress('a stray %');
  }
}
