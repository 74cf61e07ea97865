/**
 * Other gateways, as processes of this machine: where each is installed, how it is started before the same upstream, and
 * how it is asked. They lie in the tools' cache outside the tree, because Portkey's packages run a script when npm
 * installs them and the others need Python.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../tests/support/free-port.js";
import { DIALECTS } from "./dialects.js";
import { SPEEDS } from "./speeds.js";

const TOOLS = process.env.HATCH_TOOLS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "hatch");
/** The key of all upstreams; LiteLLM refuses to start without one of its own, and demands that it be long. */
const KEY = "sk-bench-0123456789abcdef0123456789abcdef";

const PORTKEY = "@portkey-ai/gateway@1.15.2";
/** Later versions hand out headers that Portkey cannot append to: it then answers every stream with 500. */
const PORTKEY_OVERRIDES = { "@hono/node-server": "1.13.8" };
const PORTKEY_HOME = join(TOOLS, "portkey-1.15.2");
const PORTKEY_SERVER = join(PORTKEY_HOME, "node_modules/@portkey-ai/gateway/build/start-server.js");

/** From 1.110 on LiteLLM pins a package that not every registry mirror has. */
const PYTHON_PACKAGES = ["litellm[proxy]<1.110", "tensorzero==2026.6.0"];
const PYTHON_HOME = join(TOOLS, "python-gateways");
const PYTHON = join(PYTHON_HOME, "bin/python");
const PYTHON_INSTALLED = join(PYTHON_HOME, "installed");

const START_LIMIT_MS = 120_000;

export function installPortkey() {
  if (existsSync(PORTKEY_SERVER)) return;
  process.stderr.write(`installing ${PORTKEY} into ${PORTKEY_HOME}, without its scripts\n`);
  mkdirSync(PORTKEY_HOME, { recursive: true });
  writeFileSync(join(PORTKEY_HOME, "package.json"), JSON.stringify({ private: true, overrides: PORTKEY_OVERRIDES }));
  const options = { cwd: PORTKEY_HOME, stdio: ["ignore", "ignore", "inherit"] };
  execFileSync("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", PORTKEY], options);
}

export function installPython() {
  if (existsSync(PYTHON_INSTALLED)) return;
  process.stderr.write(`installing ${PYTHON_PACKAGES.join(" and ")} into ${PYTHON_HOME}; this takes minutes\n`);
  const options = { stdio: ["ignore", "ignore", "inherit"] };
  execFileSync("python3", ["-m", "venv", PYTHON_HOME], options);
  execFileSync(PYTHON, ["-m", "pip", "install", "--quiet", ...PYTHON_PACKAGES], options);
  writeFileSync(PYTHON_INSTALLED, "");
}

export async function startPortkey(upstream) {
  installPortkey();
  const port = await freePort();
  const started = await startProcess(port, process.execPath, [PORTKEY_SERVER, `--port=${port}`, "--headless"]);
  const ask = ({ client, upstream: dialect, speed }) => ({
    path: DIALECTS[client].path,
    model: "m",
    headers:
      // It reads a provider's key from this header on all its routes.
      `authorization: Bearer ${KEY}\r\nx-portkey-provider: ${dialect}\r\nx-portkey-custom-host: ${upstream.url}/${speed}/v1\r\n` +
      (client === "anthropic" ? "anthropic-version: 2023-06-01\r\n" : ""),
  });
  return { ...started, ask };
}

/** Every pair of an upstream's dialect and a speed; Python's gateways have a model for each. */
const MODELS = Object.keys(DIALECTS).flatMap((dialect) => Object.keys(SPEEDS).map((speed) => ({ dialect, speed, name: `${dialect}-${speed}` })));

export async function startTensorzero(upstream) {
  installPython();
  const models = MODELS.map(({ dialect, speed, name }) => {
    const base = `${upstream.url}/${speed}/v1/`;
    return `[models.${name}]\nrouting = ["p"]\n[models.${name}.providers.p]\ntype = "${dialect}"\nmodel_name = "m"\napi_base = "${base}"\napi_key_location = "env::BENCH_KEY"\n`;
  });
  const { path: config, remove } = written("tensorzero.toml", `[gateway]\nobservability.enabled = false\n${models.join("")}`);
  const script = `
import sys, time, tensorzero
gateway = tensorzero._start_http_gateway(config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
print(gateway.base_url, flush=True)
time.sleep(100000)`;
  const child = spawnHere(PYTHON, ["-c", script, config], { env: { ...process.env, BENCH_KEY: KEY }, stdio: ["ignore", "pipe", "ignore"] });
  const port = await new Promise((resolve, reject) => {
    // Its log is on the same pipe.
    child.stdout.on("data", (lines) => {
      const port = /^http:\/\/[\w.]+:(\d+)/m.exec(lines)?.[1];
      if (port) resolve(Number(port));
    });
    child.once("exit", () => reject(new Error("it did not start")));
  });
  const ask = ({ client, upstream: dialect, speed }) => {
    if (client === "anthropic") return { absent: "it has no route for Anthropic's clients" };
    return { path: "/openai/v1/chat/completions", model: `tensorzero::model_name::${dialect}-${speed}`, headers: "" };
  };
  return { port, pid: child.pid, ask, stop: () => (remove(), stopProcess(child)) };
}

export async function startLitellm(upstream) {
  installPython();
  const models = MODELS.map(({ dialect, speed, name }) => {
    const api_base = `${upstream.url}/${speed}${dialect === "openai" ? "/v1" : ""}`;
    return { model_name: name, litellm_params: { model: `${dialect}/m`, api_base, api_key: KEY } };
  });
  const config = {
    model_list: models,
    general_settings: { master_key: KEY },
    router_settings: { disable_cooldowns: true },
    // Else it asks an OpenAI upstream for /v1/responses, which most compatible ones lack.
    litellm_settings: { use_chat_completions_url_for_anthropic_messages: true },
  };
  // JSON is YAML.
  const { path, remove } = written("litellm.yaml", JSON.stringify(config));
  const port = await freePort();
  const parameters = ["--config", path, "--host", "127.0.0.1", "--port", `${port}`, "--num_workers", "1", "--telemetry", "False"];
  // Else it asks GitHub for its prices.
  const env = { ...process.env, LITELLM_LOCAL_MODEL_COST_MAP: "True", LITELLM_LOG: "ERROR", NO_PROXY: "127.0.0.1" };
  const started = await startProcess(port, PYTHON, ["-c", "from litellm import run_server; run_server()", ...parameters], env);
  const ask = ({ client, upstream: dialect, speed }) => ({ path: DIALECTS[client].path, model: `${dialect}-${speed}`, headers: DIALECTS[client].keyHeader(KEY) });
  return { ...started, ask, stop: () => (remove(), started.stop()) };
}

/** A file in a directory of its own. */
function written(name, text) {
  const directory = mkdtempSync(join(tmpdir(), "hatch-bench-"));
  const path = join(directory, name);
  writeFileSync(path, text);
  return { path, remove: () => rmSync(directory, { recursive: true }) };
}

/** A child that does not outlive the bench, whatever ends it. */
function spawnHere(...parameters) {
  const child = spawn(...parameters);
  process.once("exit", () => child.kill("SIGKILL"));
  return child;
}

/** Starts a program and waits until it listens on `port`. */
async function startProcess(port, program, parameters, env = process.env) {
  const child = spawnHere(program, parameters, { env, stdio: "ignore" });
  const startedAt = performance.now();
  while (!(await listens(port))) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    if (performance.now() - startedAt > START_LIMIT_MS) {
      await stopProcess(child);
      throw new Error(`it did not listen within ${START_LIMIT_MS / 1000} s`);
    }
    await sleep(200);
  }
  return { port, pid: child.pid, stop: () => stopProcess(child) };
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

async function stopProcess(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}
