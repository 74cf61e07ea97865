import { readFileSync, globSync } from "node:fs";
import { join } from "node:path";
import { boot, cpuSeconds } from "./workerd.js";
import { unstable_getMiniflareWorkerOptions as readWranglerConfig } from "wrangler";
const dir = "/tmp/react-m/build";
const { workerOptions } = readWranglerConfig("/tmp/wt-react/wrangler.toml");
const { modulesRules, assets, ...options } = workerOptions;
const mod = (p, type) => ({ type, path: join(dir, p), contents: readFileSync(join(dir, p)) });
const base = [mod("index.js", "ESModule"), mod("index_bg.wasm", "CompiledWasm")];
const more = [mod("compiler.js", "ESModule"), mod("compiler_bg.wasm", "CompiledWasm")];
const migrations = globSync("/tmp/wt-react/migrations/*.sql").sort().map((p) => readFileSync(p, "utf8")).join("\n");
const flags = options.compatibilityFlags;
const variants = { alone: {modules: base}, with: {modules: [...base, ...more]},
  newreg: {modules: base, compatibilityFlags: [...flags, "new_module_registry"]}, newregwith: {modules: [...base, ...more], compatibilityFlags: [...flags, "new_module_registry"]} };
const times = {};
const only = process.argv[2]?.split(",");
for (let round = 0; round < Number(process.argv[3] ?? 8); round++) for (const [name, v] of Object.entries(variants)) {
  if (only && !only.includes(name)) continue;
  const b = await boot({ ...options, ratelimits: undefined, name: "worker", modulesRoot: dir, ...v, bindings: { ENVIRONMENT: "development" } }, migrations);
  (times[name] ??= []).push(b.firstAnswerMs); (times[name+" cpu ms"] ??= []).push(cpuSeconds(b.pid)*1000); await b.stop();
}
for (const [n, t] of Object.entries(times)) { t.sort((a, b) => a - b); console.log(n, "min", t[0].toFixed(1), "median", t[t.length >> 1].toFixed(1), t.map(x=>x.toFixed(0)).join(" ")); }
