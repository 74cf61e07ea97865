/** Where results are written: the folder that `bench/compare.js` reads. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";

/** Writes what was measured, with the commit and the machine, to a new file, and returns its path. `kind` is part of its name. */
export function writeResult(kind, measured) {
  const git = (...command) => execFileSync("git", command, { encoding: "utf8" }).trim();
  const isClean = git("status", "--porcelain", "--untracked-files=no") === "";
  const commit = git("rev-parse", "--short", "HEAD") + (isClean ? "" : "-changed");
  const { version } = JSON.parse(readFileSync("node_modules/workerd/package.json", "utf8"));
  const machine = { processor: cpus()[0].model, processors: cpus().length, gigabytes: Math.round(totalmem() / 2 ** 30), node: process.version, workerd: version };
  const name = [new Date().toISOString().slice(0, 16).replaceAll(":", ""), kind, commit].filter(Boolean).join("-");
  const path = join(import.meta.dirname, "results", `${name}.json`);
  mkdirSync(join(import.meta.dirname, "results"), { recursive: true });
  writeFileSync(path, `${JSON.stringify({ commit, machine, ...measured }, undefined, 1)}\n`);
  return path;
}
