// A service that keeps running: a stored key, asked for when it is needed and as often as its lease says.
//
//   HALLPASS_URL=https://pass.example.com node examples/clients/service.mjs
import { createServer } from 'node:http';
import { createClient, HallpassError } from 'hallpass/client';

const payments = process.env.PAYMENTS_URL ?? 'https://api.payments.example';
const client = createClient();

const charge = () =>
  client.withCredential('stripe-key', {}, ({ data }) =>
    fetch(`${payments}/charges`, { method: 'POST', headers: { authorization: `Bearer ${data.value}` } }),
  );

export const service = createServer(async (_request, response) => {
  try {
    let answer = await charge();
    // The stored key may have been replaced since: what is at hand is dropped, and the new one tried once.
    if (answer.status === 401) {
      client.forget('stripe-key');
      answer = await charge();
    }
    response.writeHead(answer.ok ? 204 : 502).end();
  } catch (error) {
    console.error(error.message);
    const later = error instanceof HallpassError && error.passing;
    response.writeHead(later ? 503 : 500, later ? { 'retry-after': String(error.retryAfter ?? 5) } : {}).end();
  }
});

if (process.argv[1] === import.meta.filename) service.listen(8080, '127.0.0.1');
