// A real browser: Chromium, where the machine has one.

import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { CI, CHROMIUM } = process.env;
const PLACES = [CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Chromium's path, or undefined. */
export const chromium = CHROMIUM === "none" ? undefined : PLACES.find((path) => path && existsSync(path));

const MISSING = "there is no Chromium here (apt-get install chromium, or CHROMIUM=/path/to/it)";
// In CI nobody would notice that they are skipped.
if (!chromium && CI && CHROMIUM !== "none") throw new Error(`${MISSING}; CHROMIUM=none skips its tests`);

/** The options of a test that needs it. */
export const inBrowser = { skip: !chromium && MISSING };

/**
 * Opens a page, lets its scripts run until they and the network are quiet,
 * and answers with the document as it is then, as HTML, and with what went to the console.
 */
export async function visit(url) {
  const profile = await mkdtemp(join(tmpdir(), "hatch-chromium-"));
  const flags = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", `--user-data-dir=${profile}`,
    // Milliseconds of the page's own clock, which stands still while the network is busy.
    "--virtual-time-budget=5000", "--enable-logging=stderr", "--dump-dom",
  ];
  try {
    const { stdout, stderr } = await new Promise((resolve, reject) => {
      execFile(chromium, [...flags, url], { timeout: 60_000, maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
        error ? reject(error) : resolve({ stdout, stderr }));
    });
    return { html: stdout, console: stderr.split("\n").filter((line) => line.includes(":CONSOLE")).join("\n") };
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
}

/**
 * One browser for many pages, by the protocol of its developer tools.
 *
 * @returns {Promise<{open(url: string, isReady?: string): Promise<{value: any, errors: string[]}>, stop(): Promise<void>} | undefined>}
 *   `open` loads a page, waits until the expression `isReady` is true in it (at most 10 s) and answers with what
 *   `result` is there, and with every error of its console, failed requests among them; undefined without Chromium
 */
export async function startBrowser(result = "document.body.innerText.trim()") {
  if (!chromium) return undefined;
  const profile = await mkdtemp(join(tmpdir(), "hatch-chromium-"));
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", `--user-data-dir=${profile}`, "--remote-debugging-port=0", "about:blank"];
  const process = spawn(chromium, flags, { stdio: ["ignore", "ignore", "pipe"] });
  const address = await new Promise((resolve, reject) => {
    let told = "";
    process.stderr.on("data", (data) => {
      told += data;
      const [, found] = told.match(/listening on (ws:\S+)/) ?? [];
      if (found) resolve(found);
    });
    process.on("exit", () => reject(new Error(told)));
  });
  const socket = new WebSocket(address), waiting = new Map(), listeners = new Set();
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    for (const listen of listeners) listen(message);
    const { resolve, reject } = waiting.get(message.id) ?? {};
    waiting.delete(message.id);
    if (message.error) reject?.(new Error(message.error.message));
    else resolve?.(message.result);
  });
  let last = 0;
  const send = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
    last += 1;
    waiting.set(last, { resolve, reject });
    socket.send(JSON.stringify({ id: last, method, params, sessionId }));
  });

  async function open(url, isReady = "document.readyState === 'complete' && document.body.innerText.trim() !== ''") {
    const { targetId } = await send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
    const errors = [];
    const listen = ({ sessionId: of, method, params }) => {
      if (of !== sessionId) return;
      if (method === "Runtime.exceptionThrown") errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
      if (method === "Log.entryAdded" && params.entry.level === "error" && !/favicon/.test(params.entry.url ?? "")) errors.push(`${params.entry.text} ${params.entry.url ?? ""}`);
      if (method === "Runtime.consoleAPICalled" && params.type === "error") errors.push(params.args.map(({ value, description }) => value ?? description).join(" "));
    };
    listeners.add(listen);
    await Promise.all(["Runtime.enable", "Log.enable", "Page.enable"].map((method) => send(method, {}, sessionId)));
    await send("Page.navigate", { url }, sessionId);
    const evaluate = async (expression) => (await send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true }, sessionId)).result.value;
    for (const deadline = Date.now() + 10_000; Date.now() < deadline && errors.length === 0 && !(await evaluate(isReady)); ) await new Promise((resolve) => setTimeout(resolve, 25));
    const value = await evaluate(result);
    listeners.delete(listen);
    await send("Target.closeTarget", { targetId });
    return { value, errors };
  }

  async function stop() {
    const gone = new Promise((resolve) => process.once("exit", resolve));
    process.removeAllListeners("exit").once("exit", () => {});
    socket.close();
    const ended = new Promise((resolve) => process.once("exit", resolve));
    process.kill();
    await Promise.race([gone, ended]);
    // Its child processes end a moment later, and may still write there.
    await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  return { open, stop };
}
