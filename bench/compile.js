// Measures the compilation of a project with many modules: the compiler of hosted
// apps in workerd, Vite's own build, and native esbuild, in one run on this
// machine. `node bench/compile.js [modules …]`; docs/compiler.md has the table.

import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { configured, run } from "../tests/support/runtime.js";

const ROUNDS = 3;

/** A React project with so many typical modules of about 3 KB each. */
function projectOf(count) {
  const filler = Array.from({ length: 24 }, (_, n) => `  const value${n} = useMemo<string>(() => \`\${props.name} of ${n}: \${depth * ${n + 1}}\`, [props.name, depth]);\n`).join("");
  const shown = Array.from({ length: 24 }, (_, n) => `<li className="p-${n % 8} text-sm">{value${n}}</li>`).join("");
  const files = { "index.html": '<!doctype html><div id="root"></div><script type="module" src="/src/main.tsx"></script>', "package.json": '{"dependencies":{"react":"19.3.1","react-dom":"19.3.1"}}', "tsconfig.json": '{"compilerOptions":{"jsx":"react-jsx"}}' };
  for (let n = 0; n < count; n += 1) {
    const next = n + 1 < count ? `import { Part${n + 1} } from "./Part${n + 1}";\n` : "";
    files[`src/Part${n}.tsx`] = `import { useMemo, useState } from "react";\n${next}interface Props { name: string; depth?: number }\nexport function Part${n}(props: Props) {\n  const [depth] = useState<number>(props.depth ?? 0);\n${filler}  return <ul>${shown}${next ? `<Part${n + 1} name={props.name} depth={depth + 1} />` : ""}</ul>;\n}\n`;
  }
  files["src/main.tsx"] = 'import { createRoot } from "react-dom/client";\nimport { Part0 } from "./Part0";\ncreateRoot(document.getElementById("root")!).render(<Part0 name="a" />);\n';
  return files;
}

/** The peak memory of a process, in MB. */
const peak = async (pid) => Math.round(Number((await readFile(`/proc/${pid}/status`, "utf8")).match(/VmHWM:\s+(\d+)/)[1]) / 1024);

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

async function byUs(files) {
  const workers = await run([configured("compiler/wrangler.toml")]);
  const ask = async (round) => {
    const began = performance.now();
    const task = { task: "compile", cdn: "https://cdn.invalid", files: { ...files, "src/round.ts": `${round}` } };
    const answer = await (await fetch(await workers.url(), { method: "POST", body: JSON.stringify(task) })).json();
    if (answer.outcome !== "site") throw new Error(JSON.stringify(answer).slice(0, 500));
    return performance.now() - began;
  };
  const times = [];
  for (let round = 0; round < ROUNDS; round += 1) times.push(await ask(round));
  const again = await ask(ROUNDS - 1);
  // The workerd that this process has started.
  const pid = execFileSync("ps", ["-o", "pid=,comm=", "--ppid", `${process.pid}`], { encoding: "utf8" }).match(/(\d+) workerd/)[1];
  const memory = await peak(pid);
  await workers.stop();
  return { first: times[0], time: median(times), again, memory };
}

/** A build in a process of its own, as `npm run build` is: its time and its memory. */
async function byProcess(files, script) {
  const root = await mkdtemp(join(tmpdir(), "hatch-bench-"));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await symlink(resolve("node_modules"), join(root, "node_modules"));
  const results = Array.from({ length: ROUNDS }, () => {
    const began = performance.now();
    const told = execFileSync(process.execPath, ["--input-type=module", "-e", `${script}\nconsole.log(process.resourceUsage().maxRSS)`], { cwd: root, encoding: "utf8" });
    return { time: performance.now() - began, memory: Math.round(Number(told.trim().split("\n").at(-1)) / 1024) };
  });
  await rm(root, { recursive: true });
  return { time: median(results.map(({ time }) => time)), memory: Math.max(...results.map(({ memory }) => memory)) };
}

const VITE = 'import { build } from "vite"; await build({ configFile: false, logLevel: "error" });';
const ESBUILD = 'import { build } from "esbuild"; await build({ entryPoints: ["src/main.tsx"], bundle: true, minify: true, splitting: true, format: "esm", outdir: "dist", logLevel: "error" });';

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const counts = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1, 50, 200, 500];
  console.log("| modules | KB | compiler, first | median | again, unchanged | memory of workerd | vite build | its memory | esbuild, native |\n|---|---|---|---|---|---|---|---|---|");
  for (const count of counts) {
    const files = projectOf(count), bytes = Object.values(files).reduce((sum, text) => sum + text.length, 0);
    const ours = await byUs(files), vite = await byProcess(files, VITE), native = await byProcess(files, ESBUILD);
    const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
    console.log(`| ${count} | ${Math.round(bytes / 1000)} | ${seconds(ours.first)} | ${seconds(ours.time)} | ${seconds(ours.again)} | ${ours.memory} MB | ${seconds(vite.time)} | ${vite.memory} MB | ${seconds(native.time)} |`);
  }
}
