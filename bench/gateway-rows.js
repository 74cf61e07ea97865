/** What is measured of the gateways: the lanes, each a kind of request under a load, and the rows of the table. */
import { percentile } from "./table.js";

const PACED_STREAMS = 50;
/** The duration of one paced stream of `upstream.js`. */
const PACED_SECONDS = 1.28;

/** Whole answers, one after the other and sixteen at a time, and streams sent at once: the turns, and the work of each. */
const ONE = { turns: 4, load: { connections: 1, count: 400, seconds: 3 } };
const SIXTEEN = { turns: 4, load: { connections: 16, count: 2000, seconds: 1.5 } };
const STREAMS = { turns: 3, load: { connections: 16, count: 300, seconds: 1.5 } };
/** Starts are spread, and each connection's first stream is not counted, because it ran beside fewer others than intended. */
const PACED = { turns: 3, load: { connections: PACED_STREAMS, count: 2 * PACED_STREAMS, rampSeconds: PACED_SECONDS } };

const latency = ({ wholeMs }) => ({ p50: percentile(wholeMs, 50), p99: percentile(wholeMs, 99) });
const rate = ({ done, seconds }) => ({ rate: done / seconds });

/**
 * `client` and `upstream` are dialects, `speed` is the upstream's; `measures` reads numbers from a load's result, and where
 * `isAdded` says so they are also given as what a gateway adds to them.
 */
export const LANES = [
  { key: "one", client: "openai", upstream: "openai", speed: "fast", stream: false, ...ONE, measures: latency, isAdded: true },
  { key: "one messages", client: "anthropic", upstream: "openai", speed: "fast", stream: false, ...ONE, measures: latency, isAdded: true },
  { key: "sixteen", client: "openai", upstream: "openai", speed: "fast", stream: false, ...SIXTEEN, measures: rate },
  ...pairs().map((pair) => ({ key: `stream ${pair.client} ${pair.upstream}`, ...pair, speed: "fast", stream: true, ...STREAMS, measures: rate })),
  { key: "paced same", client: "openai", upstream: "openai", speed: "paced", stream: true, ...PACED, measures: pace, isAdded: true },
  { key: "paced translated", client: "openai", upstream: "anthropic", speed: "paced", stream: true, ...PACED, measures: pace, isAdded: true },
];

export const ROWS = [
  { key: "one p50", name: "whole answer, OpenAI's", unit: "ms, p50" },
  { key: "one p50 added", name: "  added", unit: "ms, p50", atMost: { portkey: 1 } },
  { key: "one p99 added", name: "", unit: "ms, p99" },
  { key: "one cpu", name: "", unit: "CPU ms", below: 1 },
  { key: "one messages p50 added", name: "  Anthropic's to OpenAI's, added", unit: "ms, p50", atMost: { portkey: 1 } },
  { key: "one messages p99 added", name: "", unit: "ms, p99" },
  { key: "one messages cpu", name: "", unit: "CPU ms", below: 1 },
  { key: "sixteen rate", name: "whole answers, 16 at a time", unit: "requests/s", atLeast: { portkey: 3 } },
  { key: "sixteen cpu", name: "", unit: "CPU ms" },
  ...pairs().flatMap(({ client, upstream }) => [
    { key: `stream ${client} ${upstream} rate`, name: `400 events, ${client} to ${upstream}`, unit: "streams/s", atLeast: { limit: client === upstream ? 0.8 : 0.6 } },
    { key: `stream ${client} ${upstream} cpu`, name: "", unit: "CPU ms" },
  ]),
  ...["same", "translated"].flatMap((kind) => [
    { key: `paced ${kind} first added`, name: `50 paced streams, ${kind}: first piece, added`, unit: "ms, p50", below: 5 },
    { key: `paced ${kind} gap added`, name: "  between pieces, added", unit: "ms, p99", below: 5 },
    { key: `paced ${kind} cpu`, name: "", unit: "CPU ms" },
  ]),
];

/** A client's and an upstream's dialect: the same ones first. */
function pairs() {
  return [["openai", "openai"], ["anthropic", "anthropic"], ["openai", "anthropic"], ["anthropic", "openai"]].map(([client, upstream]) => ({ client, upstream }));
}

/** The median time to the first piece, and the longest time between two pieces, of all but one in a hundred. */
function pace({ readings, arrivals }) {
  const times = readings.map(({ offsets }, i) => arrivalsOf(offsets, arrivals[i])).slice(PACED_STREAMS);
  const gaps = times.flatMap((stream) => stream.slice(1).map((at, i) => at - stream[i]));
  return { first: percentile(times.map(([first]) => first), 50), gap: percentile(gaps, 99) };
}

/** When the bytes up to each offset had arrived. */
function arrivalsOf(offsets, arrivals) {
  return offsets.map((offset) => arrivals.find(([, bytes]) => bytes >= offset)[0]);
}
