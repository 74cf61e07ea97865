/**
 * `node bench/gateway.js [--quick] [--rounds n] [--python] [--only hatch,portkey] [--before checkout]` (`npm run bench:gateway`):
 * Hatch's gateway beside others, all before the same upstream, in turn. Prints one table and writes it to bench/results/. Traffic goes to 127.0.0.1 alone.
 */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { answerInPieces, faultOf, readStream, readWhole } from "./dialects.js";
import { GATEWAYS, before, requestOf } from "./gateways.js";
import { ROWS, LANES } from "./gateway-rows.js";
import { load } from "./load.js";
import { writeResult } from "./result.js";
import { SPEEDS } from "./speeds.js";
import { startUpstream } from "./start-upstream.js";
import { Samples, table } from "./table.js";
import { cpuSeconds } from "./workerd.js";

const { values: given } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    python: { type: "boolean", default: false },
    only: { type: "string", default: Object.keys(GATEWAYS).join(",") },
    before: { type: "string" },
  },
});
const known = given.before ? { ...GATEWAYS, before: before(given.before) } : GATEWAYS;
const rounds = Number(given.rounds ?? (given.quick ? 1 : 5));
if (!(rounds >= 1)) throw new Error(`--rounds wants a number from 1, not ${given.rounds}`);

const samples = new Samples();
/** Why a gateway has no number in a lane, by both names. */
const absences = new Map();

const upstream = await startUpstream();
const gateways = [];
try {
  for (const name of namesToStart()) await start(name);
  for (const gateway of gateways) await warmUp(gateway);
  for (let round = 1; round <= rounds; round++) {
    process.stderr.write(`round ${round} of ${rounds}, load ${loadavg()[0].toFixed(1)}\n`);
    for (const lane of LANES) await measure(lane);
    gateways.reverse();
  }
} finally {
  await Promise.all(gateways.map(({ stop }) => stop()));
  upstream.stop();
}
const others = ["before", "keeping", "limit", "portkey"];
const columns = Object.keys(known);
console.log(table(samples, { rows: ROWS, columns, others }));
console.log(`\nload of the machine at the end: ${loadavg()[0].toFixed(1)}`);
for (const [what, reason] of absences) console.log(`no number: ${what}: ${reason}`);
console.log(writeResult("gateway", { rounds, load: loadavg()[0], samples, absences: Object.fromEntries(absences) }));

/** `direct` is always there, because all others are measured from it. */
function namesToStart() {
  const names = [...new Set([...given.only.split(","), ...(given.before ? ["before"] : []), "direct"])];
  for (const name of names) if (!known[name]) throw new Error(`no gateway is called ${name}; there are ${Object.keys(known).join(", ")}`);
  return names;
}

async function start(name) {
  const { start, needsPython, mustServe } = known[name];
  if (needsPython && !given.python) return void absences.set(name, "only with --python, because installing it takes minutes");
  process.stderr.write(`starting ${name}\n`);
  try {
    gateways.push({ name, mustServe, ...(await start(upstream)) });
  } catch (error) {
    if (mustServe) throw error;
    absences.set(name, error.message.split("\n")[0]);
  }
}

/** Every lane once, which shows what the gateway cannot do, and then often enough for its compiler. */
async function warmUp(gateway) {
  for (const lane of LANES) {
    await served(gateway, lane, { connections: 1, count: 1 });
    await served(gateway, lane, lane.speed === "fast" ? { connections: 16, count: lane.stream ? 48 : 800, seconds: 4 } : lane.load);
  }
}

/** One lane of all gateways, cut into turns: a slow second of the machine meets them all. */
async function measure(lane) {
  process.stderr.write(`  ${lane.key}\n`);
  for (let turn = 0; turn < lane.turns; turn++) {
    const found = new Map();
    for (const gateway of gateways) {
      const result = await measured(gateway, lane);
      if (result) found.set(gateway.name, result);
    }
    const base = found.get("direct");
    for (const [name, result] of found) note(lane, name, result, base);
  }
}

/** The numbers of one gateway in one turn of a lane, by the name of the measure; undefined if it has none. */
async function measured(gateway, lane) {
  const cpuBefore = gateway.pid && cpuSeconds(gateway.pid);
  const result = await served(gateway, lane, lane.load);
  if (!result) return undefined;
  const cpu = gateway.pid && ((cpuSeconds(gateway.pid) - cpuBefore) * 1000) / result.done;
  return { ...lane.measures(result), ...(cpu && { cpu }) };
}

/** Adds the numbers of a turn to the samples, and how much more they are than without a gateway. */
function note({ key, isAdded }, name, result, base) {
  for (const [measure, value] of Object.entries(result)) {
    samples.add(`${key} ${measure}`, name, value);
    if (name !== "direct" && isAdded && measure in base) samples.add(`${key} ${measure} added`, name, value - base[measure]);
  }
}

/**
 * The result of a load on a lane, if every answer was right. Of a rival one fault leaves the lane without its numbers, with the
 * reason.
 */
async function served(gateway, lane, parameters) {
  const what = `${gateway.name}, ${lane.key}`;
  if (absences.has(what)) return undefined;
  try {
    const { absent, bytes, dialect } = requestOf(gateway, lane);
    if (absent) throw new Error(absent);
    const result = await load({ port: gateway.port, requestOf: () => bytes, keep: true, ...parameters });
    result.readings = result.bodies.map((body) => checked(body, dialect, lane));
    return result;
  } catch (error) {
    if (gateway.mustServe) throw new Error(`${what}: ${error.message}`, { cause: error });
    absences.set(what, error.message.replaceAll(/\s+/g, " ").slice(0, 300));
    for (const { key } of ROWS) if (key.startsWith(`${lane.key} `)) samples.remove(key, gateway.name);
    return undefined;
  }
}

function checked(body, dialect, { stream, speed }) {
  const reading = stream ? readStream(dialect, Buffer.from(body)) : readWhole(dialect, body);
  const fault = faultOf(reading, answerInPieces(SPEEDS[speed].pieces));
  if (fault) throw new Error(`${fault}: …${body.slice(-200)}`);
  return reading;
}
