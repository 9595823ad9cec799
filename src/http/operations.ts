import { Refusal } from '../lib/refusal.ts';
import { answer, answerJsonText, callOf, type Exchange } from './exchange.ts';

/** `GET /healthz`: the process answers; asks neither ledger nor issuer. */
export const showHealth = (exchange: Exchange): Response => answerJsonText(exchange, '{"status":"ok"}');

/** `GET /readyz` */
export async function showReadiness(exchange: Exchange): Promise<Response> {
  const { deployment } = exchange.house;
  try {
    await deployment.ready(exchange.deadline.within(deployment.limits.ledgerMs));
  } catch (error) {
    if (error instanceof Refusal && (error.code === 'ledger_unavailable' || error.code === 'issuer_unavailable'))
      throw error;
    throw new Refusal('ledger_unavailable', 'not_ready', { cause: error });
  }
  return answerJsonText(exchange, '{"status":"ready"}');
}

/** `GET /metrics`: on loopback, or with `audit: read`. */
export async function showMetrics(exchange: Exchange): Promise<Response> {
  const { broker, metrics } = exchange.house.deployment;
  if (!isLocal(exchange)) await broker.permit(callOf(exchange), 'audit:read');
  return answer(exchange, 200, metrics.render(), { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
}

/** `GET /openapi.json` */
export async function showOpenApi(exchange: Exchange): Promise<Response> {
  const { default: document } = await import('./openapi.generated.json', { with: { type: 'json' } });
  return answerJsonText(exchange, JSON.stringify(document));
}

// Behind a proxy on the same host everybody comes from loopback; what was forwarded is not local. A function has no loopback:
// there an address is what a Worker bound to it, or who may invoke it, has written.
function isLocal({ address, c, house }: Exchange): boolean {
  if (
    house.platform.runtime !== 'node' ||
    address === undefined ||
    !/^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$|^::1$/.test(address)
  )
    return false;
  return !['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'].some((name) => c.req.raw.headers.has(name));
}
