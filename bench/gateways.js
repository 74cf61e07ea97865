/** The gateways of `gateway.js` by name: how each is started before the upstream, and how it is asked. */
import { createHash } from "node:crypto";
import { httpRequest, load } from "./load.js";
import { DIALECTS } from "./dialects.js";
import { startLitellm, startPortkey, startTensorzero } from "./rivals.js";
import { SPEEDS } from "./speeds.js";
import { boot } from "./workerd.js";
import { WORKERS, prepareHatch, prepareScript } from "./workers.js";

const KEY = "sk-bench";

/**
 * `start(upstream)` gives `{ port, pid, stop, ask }`. `ask({ client, upstream, speed })` tells where a client of one dialect asks
 * a model of another: `{ path, model, headers }`, and `dialect` if it must ask in another than its own; or why it cannot, as
 * `absent`. A fault of one that `mustServe` ends the bench; `needsPython` are only started if that is asked for.
 */
export const GATEWAYS = {
  hatch: { start: (upstream) => startHatch(upstream), mustServe: true },
  keeping: { start: startKeeping, mustServe: true },
  limit: { start: startLimit, mustServe: true },
  portkey: { start: startPortkey },
  tensorzero: { start: startTensorzero, needsPython: true },
  litellm: { start: startLitellm, needsPython: true },
  direct: { start: startDirect, mustServe: true },
};

/** Hatch of another commit, built in its checkout, to be measured beside this one as `before`. */
export const before = (checkout) => ({ start: (upstream) => startHatch(upstream, checkout), mustServe: true });

/** The bytes of what a client asks in a lane, as the gateway wants it, and the dialect of the answer. */
export function requestOf({ ask }, lane) {
  const { path, model, headers, absent, dialect = lane.client } = ask(lane);
  if (absent) return { absent };
  return { dialect, bytes: httpRequest("POST", path, DIALECTS[dialect].question(model, lane.stream), headers) };
}

/** No gateway: what it adds is the distance to this. It speaks the upstream's dialect, because it translates nothing. */
async function startDirect({ port }) {
  return { port, ask: passedOn, stop() {} };
}

async function startLimit(upstream) {
  const { options, sql } = await prepareScript("pass-through.js");
  const started = await boot({ ...options, bindings: { UPSTREAM: upstream.url, KEY } }, sql);
  return { ...started, ask: passedOn };
}

async function startKeeping(upstream) {
  const { options } = await prepareScript("keeping-gateway.js");
  const started = await boot({ ...options, bindings: { UPSTREAM: upstream.url, KEY } }, prepareHatch().sql);
  const hash = createHash("sha256").update(KEY).digest("hex");
  await started.database.prepare("INSERT INTO api_keys (id, user_id, name, hash, hint, scopes, created_at) VALUES ('bench', 'bench', 'Bench', ?1, 'sk', '[]', 0)").bind(hash).run();
  return { ...started, ask: passedOn };
}

function passedOn({ upstream: dialect, speed }) {
  return { dialect, path: `/${speed}${DIALECTS[dialect].path}`, model: "m", headers: DIALECTS[dialect].keyHeader(KEY) };
}

async function startHatch(upstream, checkout) {
  const { options, sql } = prepareHatch(checkout);
  const bindings = { ENVIRONMENT: "development", ...WORKERS.hatch.vars, PROVIDERS: JSON.stringify(providers(upstream)) };
  const started = await boot({ ...options, bindings }, sql);
  const key = await newKey(started.port);
  const ask = ({ client, upstream: dialect, speed }) => ({ path: DIALECTS[client].path, model: `${dialect}-${speed}/m`, headers: DIALECTS[client].keyHeader(key) });
  return { ...started, ask };
}

/** A provider of `PROVIDERS` for each dialect and speed. */
function providers({ url }) {
  const models = [{ id: "m", context: 200_000, max_output: 8192, input: 1, output: 5, capabilities: ["tools"] }];
  return Object.keys(DIALECTS).flatMap((dialect) =>
    Object.keys(SPEEDS).map((speed) => ({ name: `${dialect}-${speed}`, base_url: `${url}/${speed}${dialect === "openai" ? "/v1" : ""}`, key: KEY, dialect, models })),
  );
}

async function newKey(port) {
  const request = httpRequest("POST", "/auth/keys", { name: "Bench", scopes: ["gateway"] });
  const { bodies } = await load({ port, requestOf: () => request, statuses: [200, 201], count: 1, keep: true });
  return JSON.parse(bodies[0]).key;
}
