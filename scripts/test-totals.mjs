// Prints the totals of vitest JSON reports, summed, as one plain line: 'N passed, N failed'. A report that is empty counts nothing.
import { readFile } from 'node:fs/promises';

const totals = { passed: 0, failed: 0, skipped: 0 };
for (const file of process.argv.slice(2)) {
  const text = await readFile(file, 'utf8');
  if (text === '') continue;
  const report = JSON.parse(text);
  totals.passed += report.numPassedTests;
  totals.failed += report.numFailedTests;
  totals.skipped += report.numPendingTests + report.numTodoTests;
}
const { passed, failed, skipped } = totals;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
