// A Lambda function that calls a partner with a token which Hallpass signs for it.
//
// Variables of the function: HALLPASS_URL, and HALLPASS_LEDGER_KEY (`hallpass ledger key`) to have every answer proved. Its own
// token is AWS's, of its role: the role needs sts:GetWebIdentityToken, the account outbound identity federation.
import { withCredential } from 'hallpass/client';

const partner = process.env.PARTNER_URL ?? 'https://api.partner.example';

/** One credential serves all invocations of a warm instance, up to two thirds of its life. */
export const handler = ({ order }) =>
  withCredential('partner', {}, async ({ data }) => {
    const answer = await fetch(`${partner}/orders/${encodeURIComponent(order)}`, {
      headers: { authorization: `Bearer ${data.token}` },
      signal: AbortSignal.timeout(5000),
    });
    return { statusCode: answer.status, body: await answer.text() };
  });
