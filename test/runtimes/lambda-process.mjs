// A fresh process that runs the built Lambda bundle as AWS's runtime does: one event in, one answer out, as JSON lines.
import { createInterface } from 'node:readline';

const { handler } = await import(process.argv[2]);
const context = { awsRequestId: 'test', getRemainingTimeInMillis: () => 20_000 };

for await (const line of createInterface({ input: process.stdin })) {
  const { id, event } = JSON.parse(line);
  const answer = await handler(event, context).catch((error) => ({
    statusCode: 500,
    headers: {},
    body: String(error),
  }));
  process.stdout.write(`${JSON.stringify({ id, answer })}\n`);
}
