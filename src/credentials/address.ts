import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import { isLoopbackHost } from '../lib/url.ts';
import type { Place, Places } from './target-mark.ts';

/** Where a server listens, as the entries of the databases say it. */
export const addressSchema = (port: number) => ({
  host: s.string().check(s.regex(/^[A-Za-z0-9._:-]{1,253}$/, 'a host name or address')),
  port: s.withDefault(s.int().check(s.minimum(1), s.maximum(65_535)), port),
  tls: s.optional(s.enum(['verify', 'off'])),
});

/** Former addresses of the same server, as the entries of what is ended there say them. */
export const formerlySchema = (port: number) => {
  const { host, port: numbered } = addressSchema(port);
  return s.optional(s.array(s.strictObject({ host, port: numbered })).check(s.minLength(1), s.maxLength(16)));
};

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly tls?: 'verify' | 'off' | undefined;
}

type HostAndPort = Pick<Address, 'host' | 'port'>;

/** A server is its host, in whatever case, and port; what of it is used, and as whom, makes it no other. */
export const serverPlaces = (entry: HostAndPort & { readonly formerly?: readonly HostAndPort[] }): Places => ({
  now: serverPlace(entry),
  formerly: (entry.formerly ?? []).map(serverPlace),
});

const serverPlace = ({ host, port }: HostAndPort): Place => ({ host: host.toLowerCase().replace(/\.$/, ''), port });

/** Off by default on loopback only, and nowhere else at all. */
export const usesTls = ({ host, tls }: Pick<Address, 'host' | 'tls'>): boolean =>
  tls === undefined ? !isLoopback(host) : tls === 'verify';

export const tlsFaults = ({ host, tls }: Address): Fault[] =>
  tls === 'off' && !isLoopback(host)
    ? [{ path: ['tls'], message: 'tls: off is for loopback only', hint: 'leave it out' }]
    : [];

/** Of drivers that check a certificate against a name only. */
export const nameFaults = (address: Address): Fault[] =>
  usesTls(address) && /^[\d.]+$|:/.test(address.host)
    ? [{ path: ['host'], message: 'over TLS the host is a name, as in its certificate' }]
    : [];

const isLoopback = (host: string): boolean => host === '::1' || isLoopbackHost(host);

/** `host:port` as a URL writes it. */
export const hostAndPort = ({ host, port }: Address): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;
