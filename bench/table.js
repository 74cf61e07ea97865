/** The table of results: medians, ratios, and the budgets beside them. */

/**
 * The rows, in order. `key` names the samples; `atLeast` and `atMost` are ratios to another worker, `within` a distance
 * to it in the row's unit, `below` a limit in that unit.
 */
const ROWS = [
  { key: "get", name: "GET /", unit: "requests/s", atLeast: { peer: 1 } },
  { key: "get cpu", name: "", unit: "CPU ms" },
  { key: "list", name: "GET /api/projects", unit: "requests/s", atLeast: { peer: 1.2, limit: 0.75 } },
  { key: "list cpu", name: "", unit: "CPU ms" },
  { key: "create", name: "POST /api/projects", unit: "requests/s", atLeast: { peer: 1.1 } },
  { key: "create cpu", name: "", unit: "CPU ms" },
  { key: "beat", name: "POST /heartbeat", unit: "requests/s", atLeast: { peer: 2.2 } },
  { key: "beat cpu", name: "", unit: "CPU ms" },
  { key: "events", name: "chat, Claude's events", unit: "streams/s", atLeast: { peer: 8.5, keeping: 0.95 } },
  { key: "events cpu", name: "", unit: "CPU ms" },
  { key: "text", name: "chat, format=text", unit: "streams/s" },
  { key: "text cpu", name: "", unit: "CPU ms" },
  { key: "events first median", name: "first byte of 200, events", unit: "ms, median", within: { keeping: 15 } },
  { key: "events first p99", name: "", unit: "ms, p99" },
  { key: "events slow cpu", name: "", unit: "CPU ms", atMost: { keeping: 1.2 } },
  { key: "text first median", name: "first byte of 200, text", unit: "ms, median", within: { keeping: 15 } },
  { key: "text first p99", name: "", unit: "ms, p99" },
  { key: "text slow cpu", name: "", unit: "CPU ms", atMost: { keeping: 1.2 } },
  { key: "status", name: "GET /api/status/:id, 304", unit: "requests/s" },
  { key: "status cpu", name: "", unit: "CPU ms" },
  { key: "file", name: "a hosted app's page", unit: "requests/s" },
  { key: "file cpu", name: "", unit: "CPU ms" },
  { key: "completion", name: "/v1/chat/completions", unit: "requests/s" },
  { key: "completion cpu", name: "", unit: "CPU ms" },
  { key: "completion stream", name: "  streamed", unit: "streams/s" },
  { key: "completion stream cpu", name: "", unit: "CPU ms" },
  { key: "message", name: "POST /message, a turn", unit: "streams/s" },
  { key: "message cpu", name: "", unit: "CPU ms" },
  { key: "message first", name: "  its first event", unit: "ms, median" },
  { key: "first answer", name: "first answer of a workerd", unit: "ms", atMost: { peer: 1 } },
  { key: "memory", name: "memory after 10,000", unit: "MB" },
  { key: "memory growth", name: "  of which they added", unit: "MB" },
  { key: "size", name: "size, gzip", unit: "KB", below: 1150 },
];

/** The rows, the columns of numbers, and the workers that Hatch is divided by. */
const LAYOUT = {
  rows: ROWS,
  columns: ["hatch", "logging", "before", "peer", "keeping", "limit"],
  others: ["before", "peer", "keeping", "limit"],
};

/** Numbers by key and worker, one for each time that something was measured. */
export class Samples {
  #values;

  /** `values`: lists of numbers by `key worker`, as `toJSON` gives them. */
  constructor(values = {}) {
    this.#values = new Map(Object.entries(values));
  }

  toJSON() {
    return Object.fromEntries(this.#values);
  }

  add(key, worker, value) {
    const values = this.of(key, worker);
    this.#values.set(`${key} ${worker}`, [...values, value]);
  }

  remove(key, worker) {
    this.#values.delete(`${key} ${worker}`);
  }

  of(key, worker) {
    return this.#values.get(`${key} ${worker}`) ?? [];
  }

  median(key, worker) {
    return median(this.of(key, worker));
  }

  /** The median of the rounds' own ratios, because a slow spell of the machine affects both numbers of a round. */
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

/** The table as text, one line a row, of the workers that were measured. */
export function table(samples, { rows, ...layout } = LAYOUT) {
  const wasMeasured = (worker) => rows.some(({ key }) => samples.of(key, worker).length > 0);
  const [columns, others] = [layout.columns.filter(wasMeasured), layout.others.filter(wasMeasured)];
  const header = ["", "", ...columns, ...others.map((other) => `hatch/${other}`), "wanted", ""];
  const isText = (column) => column < 2 || column >= 2 + columns.length + others.length;
  return align([header, ...rows.map((row) => cells(row, samples, columns, others))], isText);
}

function cells(row, samples, columns, others) {
  const numbers = columns.map((worker) => number(samples.median(row.key, worker)));
  const ratios = others.map((other) => number(samples.ratio(row.key, "hatch", other)));
  const judged = budgets(row, samples);
  const wanted = judged.map(({ text }) => text).join(", ");
  return [row.name, row.unit, ...numbers, ...ratios, wanted, verdict(judged)];
}

/**
 * Two results of the bench, row by row: the ratio of Hatch's number to another worker's in each, and the ratio of the second to the
 * first. Numbers of two runs are not comparable; ratios within a run are.
 */
export function comparison(one, two) {
  const header = ["", "", "to", one.commit, two.commit, "second/first"];
  const [before, after] = [one, two].map(({ samples }) => new Samples(samples));
  const lines = ROWS.flatMap(({ key, name, unit }) =>
    LAYOUT.others.map((other) => [name, unit, other, ...[before, after].map((samples) => samples.ratio(key, "hatch", other))])
      .filter(([, , , first, second]) => first > 0 && second > 0)
      .map(([row, of, other, first, second]) => [row || key, of, other, number(first), number(second), number(second / first)]),
  );
  return align([header, ...lines], (column) => column < 3);
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

function align(lines, isText) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const pad = (cell, column) => (isText(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]));
  return lines.map((line) => line.map(pad).join("  ").trimEnd()).join("\n");
}
