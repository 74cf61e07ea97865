// Sixteen faults of an upstream (S01 to S16), each played by a strict upstream
// during a stream, live and buffered, with one other model as a fallback.
// `WRITE_VERDICTS=1` writes the results into the table of docs/gateway.md;
// otherwise they are compared with it.
//
// pass: what the fault's rule demands. safe: a clean error in bounded time after
// the client has seen the beginning. fail: anything else.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import test, { after } from "node:test";
import { startOpenAI } from "./fakes/openai.js";
import { startWorker } from "./support/harness.js";

const [a, b] = [await startOpenAI({ key: "a-key" }), await startOpenAI({ key: "b-key" })];
after(() => Promise.all([a.close(), b.close()]));
const FIRST_TOKEN_MS = 1500;
const words = (letter) => Array.from({ length: 60 }, (_, index) => `${letter}${index}`).join(" ");
const [A, B] = [words("a"), words("b")];
a.setAnswer(A);
b.setAnswer(B);
// Each fault and mode has its own model, so that no fault opens another one's circuit.
const ids = Array.from({ length: 16 }, (_, index) => `S${String(index + 1).padStart(2, "0")}`);
const models = (context) => ids.flatMap((id) => ["live", "buffered"].map((mode) => ({ id: `${id}-${mode}`, context, max_output: 1000, input: 1, output: 2, capabilities: ["tools"] })));
const worker = await startWorker({
  GATEWAY_FIRST_TOKEN_MS: String(FIRST_TOKEN_MS), GATEWAY_IDLE_MS: "1500",
  PROVIDERS: JSON.stringify([
    { name: "a", base_url: `${a.url}/v1`, key: "a-key", dialect: "openai", models: models(100_000) },
    { name: "b", base_url: `${b.url}/v1`, key: "b-key", dialect: "openai", models: models(200_000) },
  ]),
});
const HI = [{ role: "user", content: "Say sixty words." }];

/** Sends a request and returns its result. */
async function play(id, mode) {
  const [beforeA, beforeB, started] = [a.requests.length, b.requests.length, performance.now()];
  const response = await fetch(`${worker.url}/v1/chat/completions`, {
    method: "POST", headers: { "content-type": "application/json", "x-gateway-stream-mode": mode },
    body: JSON.stringify({ model: `a/${id}-${mode}`, models: [`b/${id}-${mode}`], messages: HI, stream: true, stream_options: { include_usage: true } }),
  });
  const text = await response.text();
  const data = text.split("\n\n").filter((event) => event.startsWith("data: ")).map((event) => event.slice(6));
  const chunks = data.filter((line) => line !== "[DONE]").map((line) => JSON.parse(line));
  const said = chunks.map((chunk) => chunk.choices?.[0]?.delta?.content ?? "").join("");
  const isDone = response.status === 200 && data.at(-1) === "[DONE]" && chunks.some((chunk) => chunk.choices?.[0]?.finish_reason);
  return {
    status: response.status, text, said, isDone, chunks,
    hasError: chunks.some(({ error }) => error) || response.status >= 400,
    isOfA: isDone && said === A, isOfB: isDone && said === B,
    usage: chunks.at(-1)?.usage, model: response.headers.get("x-gateway-model"),
    ms: performance.now() - started, asked: [a.requests.length - beforeA, b.requests.length - beforeB],
  };
}

/** Whether there is a clean error after the beginning of A's answer, and nothing of B's. */
const isSafe = ({ hasError, isDone, said }) => hasError && !isDone && A.startsWith(said) && !said.includes("b");
const graded = (isPass, seen) => (isPass ? "pass" : isSafe(seen) ? "safe" : "fail");
const once = (fault, rule) => async (id, mode) => {
  a.setFault(fault);
  const seen = await play(id, mode);
  a.release();
  a.setFault();
  return graded(rule(seen), seen);
};
/** The bytes of a stream up to so many of its words. */
const upTo = (count) => count * 130;

const FAULTS = {
  S01: ["429 with `Retry-After: 2`, once", once({ status: 429, headers: { "retry-after": "2" } }, (seen) => seen.isOfB || (seen.isOfA && seen.ms >= 1800))],
  S02: ["429 for ever", once({ status: 429, times: 99 }, (seen) => seen.isOfB && seen.asked[0] <= 4)],
  S03: ["500, once", once({ status: 500 }, (seen) => seen.isOfA && seen.asked[0] === 2)],
  S04: ["503 for ever", once({ status: 503, times: 99 }, (seen) => seen.isOfB && seen.asked[0] <= 4)],
  S05: ["connection reset before the headers", once({ refuse: true, times: 99 }, (seen) => seen.isOfB)],
  S06: ["accepts and never answers", once({ hang: true, times: 99 }, (seen) => seen.isOfB && seen.asked[0] === 1 && seen.ms < FIRST_TOKEN_MS + 5000)],
  S07: ["headers at once, no first token", once({ stallAfterBytes: 0, times: 99 }, (seen) => seen.isOfB && seen.ms < FIRST_TOKEN_MS + 5000)],
  S08: ["cut after 40 of 60 words", once({ cutAfterBytes: upTo(40), times: 99 }, (seen) => seen.isOfB)],
  S09: ["silent after 20 words", once({ stallAfterBytes: upTo(20), times: 99 }, (seen) => seen.isOfB && seen.ms < 10_000)],
  S10: ["the tenth event is no JSON", once({ badJsonAt: 10, times: 99 }, (seen) => seen.isOfA || seen.isOfB || isSafe(seen))],
  S11: ["whole, but no `[DONE]`", once({ omitDone: true }, (seen) => seen.isOfA && seen.usage?.total_tokens === 19 && seen.ms < 8000)],
  S12: ["400 `context_length_exceeded`", once({ status: 400, code: "context_length_exceeded", message: "This model's maximum context length is 10 tokens", times: 99 }, (seen) => seen.isOfB && seen.asked[0] === 1)],
  S13: ["400 `content_policy_violation`", once({ status: 400, code: "content_policy_violation", message: "Your request was rejected", times: 99 }, (seen) => seen.status === 400 && seen.text.includes("content_policy_violation") && seen.asked.join() === "1,0")],
  S14: ["cut, and the other model takes no prefill", once({ cutAfterBytes: upTo(40), times: 99 }, (seen) => seen.isOfB && b.requests.at(-1).body.messages.length === HI.length)],
  S15: ["down for 20 requests, then well", async (id, mode) => {
    a.setFault({ status: 503, times: Infinity });
    const [before, served] = [a.requests.length, []];
    for (let index = 0; index < 20; index += 1) served.push((await play(id, mode)).isOfB);
    const probes = a.requests.length - before;
    a.setFault();
    const deadline = performance.now() + 30_000;
    let isBack = false;
    while (!isBack && performance.now() < deadline) isBack = (await play(id, mode)).isOfA;
    return served.every(Boolean) && probes <= 8 && isBack ? "pass" : "fail";
  }],
  S16: ["who answered, and its usage", once({ status: 503, times: 99 }, (seen) => seen.isOfB && seen.model.startsWith("b/S16") && seen.usage?.total_tokens === 19 && seen.chunks.every(({ model }) => model.includes("S16")))],
};

test("no fault of an upstream looks like a success, and the table of verdicts is up to date", { timeout: 180_000 }, async () => {
  const rows = [];
  for (const [id, [fault, verdict]] of Object.entries(FAULTS)) rows.push([id, fault, await verdict(id, "live"), await verdict(id, "buffered")]);
  const count = (column, word) => rows.filter((row) => row[column] === word).length;
  const table = [
    "| | fault | live | buffered |", "|---|---|---|---|", ...rows.map((row) => `| ${row.join(" | ")} |`),
    `| | pass / safe / fail | ${[2, 3].map((column) => ["pass", "safe", "fail"].map((word) => count(column, word)).join(" / ")).join(" | ")} |`,
  ].join("\n");
  assert.deepEqual([count(2, "fail"), count(3, "fail"), count(2, "pass") >= 13, count(3, "pass")], [0, 0, true, 16], `\n${table}`);
  const doc = await readFile("docs/gateway.md", "utf8");
  const [BEGIN, END] = ["<!-- verdicts -->\n", "\n<!-- /verdicts -->"];
  const [start, end] = [doc.indexOf(BEGIN) + BEGIN.length, doc.indexOf(END)];
  assert.ok(end > start, "docs/gateway.md has no place for the table");
  if (process.env.WRITE_VERDICTS) await writeFile("docs/gateway.md", doc.slice(0, start) + table + doc.slice(end));
  else assert.equal(doc.slice(start, end), table);
});
