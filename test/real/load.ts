import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import type { TestIssuer } from '../support/issuer.ts';

export interface Load {
  /** Receipts that clients hold: index and record. */
  readonly held: Map<number, string>;
  /** Answers by status. */
  readonly statuses: Map<number, number>;
  stop(): Promise<void>;
}

/** Clients that ask without pause and keep what they were promised; each receipt is verified under the key. */
export function startLoad(url: string, issuer: TestIssuer, key: string, clients = 16): Load {
  const held = new Map<number, string>();
  const statuses = new Map<number, number>();
  let stopped = false;
  const client = async () => {
    while (!stopped) {
      const headers = { authorization: `Bearer ${issuer.token()}` };
      try {
        const response = await fetch(`${url}/v1/credentials/stripe-key`, { method: 'POST', headers });
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        const { receipt } = await response.json();
        if (response.status === 200) {
          verifyReceipt(receipt, key);
          held.set(receipt.index, receipt.record);
        } else await new Promise((resolve) => setTimeout(resolve, 20));
      } catch {
        statuses.set(0, (statuses.get(0) ?? 0) + 1);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const running = Array.from({ length: clients }, client);
  return {
    held,
    statuses,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}
