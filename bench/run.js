/**
 * `node bench/run.js [--quick] [--rounds n] [--only peer,limit] [--before checkout]`: measures the workers side by side, each in a workerd
 * of its own, prints one table and writes it to bench/results/. Traffic goes to 127.0.0.1 alone.
 */
import { parseArgs } from "node:util";
import { load } from "./load.js";
import { writeResult } from "./result.js";
import { HEALTH, LIST, always, beats, chat, checkAnswers, creation, idsOf, ownLoads } from "./routes.js";
import { startUpstream } from "./start-upstream.js";
import { Samples, percentile, table } from "./table.js";
import { boot, cpuSeconds, residentMegabytes } from "./workerd.js";
import { MissingFile, WORKERS, before, gzipKilobytes } from "./workers.js";

const { values: given } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string", default: Object.keys(WORKERS).join(",") },
    before: { type: "string" },
  },
});
const known = given.before ? { ...WORKERS, before: before(given.before) } : WORKERS;
const names = [...new Set([...given.only.split(","), ...(given.before ? ["before"] : [])])];
const rounds = Number(given.rounds ?? (given.quick ? 1 : 5));
if (!(rounds >= 1)) throw new Error(`--rounds wants a number from 1, not ${given.rounds}`);

/** A measurement is cut into turns, and the workers alternate: a slow second of the machine meets them all. */
const TURNS = 4;
/** Fewer for slow streams, which take seconds; one alone says little, because whatever else the machine does meets all of its streams. */
const SLOW_TURNS = 3;
/** The work of one turn. No chat stream starts after `CHAT_SECONDS`. */
const GETS = 2500;
const LISTS = 500;
const CREATIONS = 500;
const BEATS = 1000;
const CHATS = 250;
const CHAT_SECONDS = 1;
const SLOW_STREAMS = 200;
/** The duration of one slow stream of `upstream.js`. */
const SLOW_SECONDS = 0.5;
/** Parameters of `load`: the chat streams of one turn, and those of slow answers. */
const FAST_CHATS = { count: CHATS, seconds: CHAT_SECONDS };
const SLOW_CHATS = { count: 2 * SLOW_STREAMS, connections: SLOW_STREAMS, rampSeconds: SLOW_SECONDS };

const samples = new Samples();

try {
  await measure(names);
  console.log(table(samples));
  console.log(`\n${writeResult("", { rounds, samples })}`);
} catch (error) {
  if (!(error instanceof MissingFile)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function measure(names) {
  const prepared = [];
  for (const name of names) {
    if (!known[name]) throw new Error(`no worker is called ${name}; there are ${Object.keys(known).join(", ")}`);
    const worker = { name, ...known[name], ...(await known[name].prepare()) };
    prepared.push(worker);
    samples.add("size", name, gzipKilobytes(worker));
  }
  const upstream = await startUpstream();
  try {
    await warmFileCache(prepared);
    for (let round = 1; round <= rounds; round++) {
      progress(`round ${round} of ${rounds}`);
      await withWorkers(prepared, `${upstream.url}/fast`, FAST_CHATS, measureRates);
      await withWorkers(measuredIn("first bytes", prepared), `${upstream.url}/slow`, SLOW_CHATS, measureFirstBytes);
      prepared.reverse();
    }
  } finally {
    upstream.stop();
  }
}

/** The workers that are measured in a step. */
function measuredIn(step, workers) {
  return workers.filter(({ of }) => !of || of.includes(step));
}

/** Starts workerd once before measuring, because its first start reads it from the disk. */
async function warmFileCache([first]) {
  const { stop } = await boot(first.options, first.sql);
  await stop();
}

/** Boots every worker afresh with `claudeUrl` as its Claude, warms them up, also with `chats`, hands them to `use`, and stops them. */
async function withWorkers(prepared, claudeUrl, chats, use) {
  const workers = [];
  try {
    for (const worker of prepared) {
      const { options, sql, vars } = worker;
      // Only these variables: one in .dev.vars must not change the results.
      const bindings = { ENVIRONMENT: "development", CLAUDE_API_KEY: "sk-ant-bench", CLAUDE_BASE_URL: claudeUrl, ...vars };
      const booted = await boot({ ...options, bindings }, sql);
      workers.push({ ...worker, ...booted });
      samples.add("first answer", worker.name, booted.firstAnswerMs);
    }
    for (const worker of workers) await warmUp(worker, chats);
    await use(workers);
  } finally {
    await Promise.all(workers.map(({ stop }) => stop()));
  }
}

/**
 * Warms a worker up with as much of everything as one turn measures: V8 compiles what is used while it runs, for longer
 * where there is more code, and that is CPU time of the process.
 */
async function warmUp(worker, chats) {
  const { port } = worker;
  worker.projects = await checkAnswers(worker);
  await load({ port, requestOf: always(HEALTH), count: GETS });
  await load({ port, requestOf: always(LIST), count: LISTS });
  await load({ port, ...beats(worker, BEATS) });
  for (const path of Object.keys(worker.chats)) {
    const projects = idsOf(await load({ port, ...creation(chats.count) }));
    await load({ port, ...chat({ ...worker, projects }, path, chats.count), ...chats });
  }
}

async function measureRates(workers) {
  for (const worker of workers) worker.megabytes = residentMegabytes(worker.pid);
  const get = (worker) => measureRate(["get"], worker, { requestOf: always(HEALTH), count: GETS });
  await inTurn("get", workers, get, TURNS);
  for (const { name, pid, megabytes } of workers) {
    samples.add("memory", name, residentMegabytes(pid));
    samples.add("memory growth", name, residentMegabytes(pid) - megabytes);
  }

  const list = (worker) => measureRate(["list"], worker, { requestOf: always(LIST), count: LISTS });
  await inTurn("list", workers, list, TURNS);

  const create = async (worker) => {
    worker.projects.push(...idsOf(await measureRate(["create"], worker, creation(CREATIONS))));
  };
  await inTurn("create", workers, create, TURNS);

  const beat = (worker) => measureRate(["beat"], worker, beats(worker, BEATS));
  await inTurn("beat", workers, beat, TURNS);

  const stream = async (worker) => {
    for (const [path, formats] of Object.entries(worker.chats)) {
      // A worker that no creation is measured of has none left from that.
      if (worker.projects.length < CHATS) worker.projects.push(...idsOf(await load({ port: worker.port, ...creation(CHATS) })));
      await measureRate(formats, worker, { ...FAST_CHATS, ...chat(worker, path, CHATS) });
    }
  };
  await inTurn("chat", workers, stream, TURNS);
  await measureOwn(workers);
}

async function measureFirstBytes(workers) {
  const firstBytes = async (worker) => {
    for (const [path, formats] of Object.entries(worker.chats)) {
      worker.projects = idsOf(await load({ port: worker.port, ...creation(SLOW_CHATS.count) }));
      const cpuBefore = cpuSeconds(worker.pid);
      const { firstByteMs, done } = await load({ port: worker.port, ...SLOW_CHATS, ...chat(worker, path, SLOW_CHATS.count) });
      const cpuMs = ((cpuSeconds(worker.pid) - cpuBefore) * 1000) / done;
      // The first stream of each connection ran beside fewer others than intended.
      const crowded = firstByteMs.slice(SLOW_STREAMS);
      for (const format of formats) {
        samples.add(`${format} first median`, worker.name, percentile(crowded, 50));
        samples.add(`${format} first p99`, worker.name, percentile(crowded, 99));
        samples.add(`${format} slow cpu`, worker.name, cpuMs);
      }
    }
  };
  await inTurn("first bytes", workers, firstBytes, SLOW_TURNS);
}

/** The rows that only Hatch has routes for. */
async function measureOwn(workers) {
  for (const worker of workers.filter(({ hasMore }) => hasMore)) {
    for (const [row, parameters] of Object.entries(await ownLoads(worker))) {
      await inTurn(row, [worker], () => measureRate([row], worker, parameters), TURNS);
    }
  }
}

/** The `task` of each worker that is measured in this step, one after the other, the whole `turns` times. */
async function inTurn(step, workers, task, turns = 1) {
  progress(`  ${step}`);
  const measured = measuredIn(step, workers);
  for (let turn = 0; turn < turns; turn++) {
    for (const worker of measured) {
      await task(worker).catch((error) => {
        throw new Error(`${worker.name}, ${step}: ${error.message}`, { cause: error });
      });
    }
  }
}

/** Adds requests per second and workerd's CPU milliseconds for each request to the samples, under each of `keys`. */
async function measureRate(keys, worker, parameters) {
  const cpuBefore = cpuSeconds(worker.pid);
  const result = await load({ port: worker.port, ...parameters });
  const cpuMs = ((cpuSeconds(worker.pid) - cpuBefore) * 1000) / result.done;
  for (const key of keys) {
    samples.add(key, worker.name, result.done / result.seconds);
    samples.add(`${key} cpu`, worker.name, cpuMs);
    if (parameters.first) samples.add(`${key} first`, worker.name, percentile(result.firstByteMs, 50));
  }
  return result;
}

function progress(line) {
  process.stderr.write(`${line}\n`);
}
