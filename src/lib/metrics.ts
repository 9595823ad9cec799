/** Counters and gauges by name and labels; no label ever carries anything from outside. */
export interface Metrics {
  add(name: string, labels?: Readonly<Record<string, string>>, by?: number): void;
  /** What a gauge stands at now. */
  set(name: string, labels: Readonly<Record<string, string>>, value: number): void;
  /** Prometheus text exposition format 0.0.4. */
  render(): string;
}

const maxSeries = 2_000;

/** Kept in memory, since this instance began; a series beyond the bound is dropped, so labels cannot eat memory. */
export function createMetrics(): Metrics {
  const families = new Map<string, Map<string, number>>();
  const gauges = new Set<string>();
  let series = 0;

  function change(name: string, labels: Readonly<Record<string, string>> | undefined, to: (value: number) => number) {
    let family = families.get(name);
    if (family === undefined) {
      family = new Map();
      families.set(name, family);
    }
    const key = labels === undefined ? '' : labelText(labels);
    const value = family.get(key);
    if (value === undefined && ++series > maxSeries) return;
    family.set(key, to(value ?? 0));
  }

  return {
    add: (name, labels, by = 1) => change(name, labels, (value) => value + by),
    set(name, labels, value) {
      gauges.add(name);
      change(name, labels, () => value);
    },
    render() {
      let text = '';
      for (const name of [...families.keys()].sort()) {
        text += `# TYPE ${name} ${gauges.has(name) ? 'gauge' : 'counter'}\n`;
        for (const [labels, value] of families.get(name) as Map<string, number>) text += `${name}${labels} ${value}\n`;
      }
      return text;
    },
  };
}

function labelText(labels: Readonly<Record<string, string>>): string {
  let text = '';
  for (const name in labels) text += `${text === '' ? '{' : ','}${name}="${escapeLabel(labels[name] as string)}"`;
  return text === '' ? '' : `${text}}`;
}

const escapeLabel = (value: string): string =>
  /[\\"\n]/.test(value) ? value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n') : value;
