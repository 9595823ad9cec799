import { expect, test } from 'vitest';
import { createMetrics } from '../../src/lib/metrics.ts';

test('renders counters as Prometheus text, families together', () => {
  const metrics = createMetrics();
  metrics.add('b_total', { x: '1' });
  metrics.add('a_total');
  metrics.add('b_total', { x: '1' }, 2);
  metrics.add('b_total', { x: '2' });
  expect(metrics.render()).toBe(
    '# TYPE a_total counter\na_total 1\n# TYPE b_total counter\nb_total{x="1"} 3\nb_total{x="2"} 1\n',
  );
});

test('escapes label values, so none can forge a line', () => {
  const metrics = createMetrics();
  metrics.add('a_total', { x: 'q"\\\n' });
  expect(metrics.render()).toBe('# TYPE a_total counter\na_total{x="q\\"\\\\\\n"} 1\n');
});

test('drops series beyond the bound and keeps counting the known', () => {
  const metrics = createMetrics();
  for (let at = 0; at < 3_000; at++) metrics.add('a_total', { x: String(at) });
  metrics.add('a_total', { x: '0' });
  expect(metrics.render().split('\n').length).toBeLessThan(2_010);
  expect(metrics.render()).toContain('a_total{x="0"} 2\n');
});
