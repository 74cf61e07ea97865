import { test } from "node:test"; import { startMigratedSqld } from "./harness.js"; import { pipeline } from "../scripts/libsql.js";
const sqld = await startMigratedSqld();
await sqld.sql("create table counter(id integer primary key, n integer)"); await sqld.sql("insert into counter values(1,0)");
const post = async (steps) => { const t = performance.now(); const r = await fetch(sqld.url + "/v2/pipeline", { method: "POST", headers: { authorization: "Bearer " + sqld.token, "content-type": "application/json" }, body: JSON.stringify({ requests: [{ type: "batch", batch: { steps } }, { type: "close" }] }) }); const j = await r.json(); const b = j.results[0]; const errs = b.error ? [b.error] : b.response.result.step_errors; const at = errs.findIndex((e) => e); return { at, e: errs[at], ms: performance.now() - t }; };
const ok = (step) => ({ type: "ok", step });
const S = (sql, i) => ({ stmt: { sql, want_rows: true }, ...(i > 0 && { condition: ok(i - 1) }) });
const tx = [...["PRAGMA foreign_keys = ON", "BEGIN IMMEDIATE", "UPDATE counter SET n = n + 1", "INSERT INTO skill_fetches (source, query, next_at) VALUES (hex(randomblob(8)), 'x', 1)", "COMMIT"].map(S), { stmt: { sql: "ROLLBACK" }, condition: { type: "not", cond: ok(4) } }];
const single = ["PRAGMA foreign_keys = ON", "UPDATE counter SET n = n + 1"].map(S);
for (const [name, steps, w, per] of [["tx", tx, 8, 300], ["tx", tx, 50, 60], ["single", single, 8, 300], ["single", single, 50, 60]]) test(name + w, async () => {
  const [before] = await sqld.sql("select n from counter"); let okn = 0; const bad = []; const all = [];
  await Promise.all(Array.from({ length: w }, async () => { for (let i = 0; i < per; i++) { const r = await post(steps); all.push(r.ms); if (r.e) bad.push([r.at, r.e.code, Math.round(r.ms)]); else okn++; } }));
  const [after] = await sqld.sql("select n from counter"); all.sort((a, b) => a - b);
  console.log(name, w, "ok", okn, "counted", after.n - before.n, "bad", bad.length, JSON.stringify(bad.slice(0, 8)), "p50", all[all.length >> 1].toFixed(1), "p99", all[Math.floor(all.length * 0.99)].toFixed(1), "max", all.at(-1).toFixed(0));
});
