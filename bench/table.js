/** What was measured, its medians and ratios, and the budgets of design.md beside them. */

/**
 * The rows, in order. `key` names the samples; `atLeast` and `atMost` are ratios to another worker, `within` a distance
 * to it in the row's unit, `below` a limit in that unit.
 */
const ROWS = [
  { key: "get", name: "GET /", unit: "requests/s", atLeast: { peer: 0.9 } },
  { key: "get cpu", name: "", unit: "CPU ms" },
  { key: "list", name: "GET /api/projects", unit: "requests/s", atLeast: { peer: 1.6 } },
  { key: "list cpu", name: "", unit: "CPU ms" },
  { key: "create", name: "POST /api/projects", unit: "requests/s", atLeast: { peer: 1.1 } },
  { key: "create cpu", name: "", unit: "CPU ms" },
  { key: "beat", name: "POST /heartbeat", unit: "requests/s", atLeast: { peer: 1.5 } },
  { key: "beat cpu", name: "", unit: "CPU ms" },
  { key: "events", name: "chat, Claude's events", unit: "streams/s", atLeast: { peer: 10, limit: 0.6 } },
  { key: "events cpu", name: "", unit: "CPU ms" },
  { key: "text", name: "chat, format=text", unit: "streams/s", atLeast: { peer: 10, limit: 0.6 } },
  { key: "text cpu", name: "", unit: "CPU ms" },
  { key: "events first median", name: "first byte of 200, events", unit: "ms, median", within: { limit: 150 } },
  { key: "events first p99", name: "", unit: "ms, p99" },
  { key: "text first median", name: "first byte of 200, text", unit: "ms, median", within: { limit: 150 } },
  { key: "text first p99", name: "", unit: "ms, p99" },
  { key: "first answer", name: "first answer of a workerd", unit: "ms", atMost: { peer: 1 } },
  { key: "memory", name: "memory after 10,000", unit: "MB" },
  { key: "memory growth", name: "  of which they added", unit: "MB" },
  { key: "size", name: "size, gzip", unit: "KB", below: 1024 },
];

/** Numbers by key and worker, one for each time that something was measured. */
export class Samples {
  #values = new Map();

  add(key, worker, value) {
    const values = this.of(key, worker);
    this.#values.set(`${key} ${worker}`, [...values, value]);
  }

  of(key, worker) {
    return this.#values.get(`${key} ${worker}`) ?? [];
  }

  median(key, worker) {
    return median(this.of(key, worker));
  }

  /** The median of the rounds' own ratios: a slow spell of the machine is in both numbers of a round. */
  ratio(key, one, other) {
    const others = this.of(key, other);
    return median(this.of(key, one).map((value, round) => value / others[round]));
  }
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.slice(Math.ceil(sorted.length / 2) - 1, Math.floor(sorted.length / 2) + 1);
  return middle.length ? middle.reduce((sum, value) => sum + value) / middle.length : undefined;
}

/** The nearest-rank percentile, or undefined of nothing. */
export function percentile(values, percent) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
}

/** The table as text, one line a row. */
export function table(samples) {
  const header = ["", "", "hatch", "peer", "limit", "hatch/peer", "hatch/limit", "wanted", ""];
  return align([header, ...ROWS.map((row) => cells(row, samples))]);
}

function cells(row, samples) {
  const numbers = ["hatch", "peer", "limit"].map((worker) => number(samples.median(row.key, worker)));
  const ratios = ["peer", "limit"].map((other) => number(samples.ratio(row.key, "hatch", other)));
  const judged = budgets(row, samples);
  const wanted = judged.map(({ text }) => text).join(", ");
  return [row.name, row.unit, ...numbers, ...ratios, wanted, verdict(judged)];
}

/** Each budget of a row as `{ text, met }`; `met` is undefined where a number to judge it by was not measured. */
function budgets({ key, unit, atLeast = {}, atMost = {}, within = {}, below }, samples) {
  const hatch = samples.median(key, "hatch");
  const ratio = (other) => samples.ratio(key, "hatch", other);
  const distance = (other) => hatch - samples.median(key, other);
  const judged = [
    ...Object.entries(atLeast).map(([other, least]) => ({ text: `≥ ${least} ${other}`, met: judge(ratio(other), (value) => value >= least) })),
    ...Object.entries(atMost).map(([other, most]) => ({ text: `≤ ${most} ${other}`, met: judge(ratio(other), (value) => value <= most) })),
    ...Object.entries(within).map(([other, most]) => ({ text: `≤ ${other} + ${most}`, met: judge(distance(other), (value) => value <= most) })),
  ];
  if (below !== undefined) judged.push({ text: `< ${below} ${unit}`, met: judge(hatch, (value) => value < below) });
  return judged;
}

function judge(value, isMet) {
  return value === undefined || Number.isNaN(value) ? undefined : isMet(value);
}

function verdict(judged) {
  const known = judged.filter(({ met }) => met !== undefined);
  if (known.length === 0) return "";
  return known.every(({ met }) => met) ? "met" : "MISSED";
}

function number(value) {
  if (value === undefined || Number.isNaN(value)) return "-";
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function align(lines) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const isText = (column) => column < 2 || column > 6;
  const pad = (cell, column) => (isText(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]));
  return lines.map((line) => line.map(pad).join("  ").trimEnd()).join("\n");
}
