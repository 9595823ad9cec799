// PostgreSQL: issuances in each mode beside a bare CREATE ROLE at the same server, the time to a handler's first row, and
// many issuances that must all be gone after one sweep.
import { summary } from './median.mjs';
import { runPart } from './part.mjs';

export const benchPostgres = () => runPart('postgres');

/** Two series of one run, round by round. */
const ratio = (over, under) => summary(over.map((rate, round) => rate / under[round]));

const one = (value) => summary([value]);

export function reportPostgres({ rates, p99, firstRow, many, issuances }) {
  const figures = {};
  for (const [name, values] of Object.entries(rates)) {
    figures[`rate ${name} (1/s)`] = summary(values);
    figures[`p99 ${name} (ms)`] = summary(p99[name]);
  }
  for (const mode of ['user', 'once', 'pool', 'share']) {
    figures[`${mode} / CREATE ROLE of a login`] = ratio(rates[mode], rates['CREATE ROLE, a login']);
    figures[`${mode} / CREATE ROLE of no login`] = ratio(rates[mode], rates['CREATE ROLE, no login']);
  }
  figures['pool / user'] = ratio(rates.pool, rates.user);
  for (const [name, { p50, p99 }] of Object.entries(firstRow)) {
    figures[`first row, ${name}, p50 (ms)`] = one(p50);
    figures[`first row, ${name}, p99 (ms)`] = one(p99);
  }
  for (const [name, value] of Object.entries(many)) figures[`${issuances} issuances: ${name}`] = summary([value]);
  const targets = [
    { name: 'user / CREATE ROLE of a login', value: figures['user / CREATE ROLE of a login'].median, atLeast: 0.5 },
    { name: 'pool / user', value: figures['pool / user'].median, atLeast: 1 },
    { name: `failed of ${issuances}`, value: many.failed, atMost: 0 },
    { name: 'accounts left after the sweep', value: many.left, atMost: 0 },
    { name: 'accounts in no ledger', value: many.unrecorded, atMost: 0 },
  ];
  return { figures, targets };
}
