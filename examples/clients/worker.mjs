// A Worker that needs no secret of its own to ask for one: its service binding to Hallpass's Worker says who it is.
//
//   [[services]]
//   binding = "HALLPASS"
//   service = "hallpass"
//   entrypoint = "Workload"
//   props = { audience = "https://pass.example.workers.dev", worker = "checkout" }
//
// Variables: HALLPASS_URL (Hallpass's `broker.url`), PARTNER_URL.
import { env } from 'cloudflare:workers';
import { createClient } from 'hallpass/client';

const client = createClient({ env, fetch: (url, init) => env.HALLPASS.fetch(url, init), token: false });

export default {
  fetch: () =>
    client.withCredential('partner', {}, ({ data }) =>
      fetch(`${env.PARTNER_URL}/orders`, { headers: { authorization: `Bearer ${data.token}` } }),
    ),
};
