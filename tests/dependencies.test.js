// Every dependency is used: checks crates as cargo-machete does, without the
// three minutes to build that, and packages of npm likewise.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";

const { packages } = JSON.parse(execFileSync("cargo", ["metadata", "--no-deps", "--offline", "--format-version", "1"], { encoding: "utf8" }));

/** The text of these files, without comments at the beginning of a line. */
const textOf = (patterns, cwd) =>
  globSync(patterns, { cwd }).map((path) => readFileSync(`${cwd}/${path}`, "utf8")).join("\n").replace(/^\s*\/\/.*$/gm, "");

for (const { name, manifest_path: manifest, dependencies, metadata } of packages) {
  // One that is there for the version that others then have of it.
  const { ignored = [] } = metadata?.["cargo-machete"] ?? {};
  test(`every dependency of the crate ${name} is used by it`, () => {
    const source = textOf(["src/**/*.rs", "tests/**/*.rs", "fuzz_targets/**/*.rs", "build.rs"], dirname(manifest));
    const isUsed = (crate) => ignored.includes(crate) || new RegExp(`(?<![\\w:.])${crate.replaceAll("-", "_")}(::|!\\(|\\s+as\\s|;)`).test(source);
    assert.deepEqual(dependencies.map(({ name, rename }) => rename ?? name).filter((crate) => !isUsed(crate)), []);
  });
}

test("every dependency of package.json is imported, or one of its programs is run", () => {
  const folders = ["tests", "bench", "scripts", "compiler", "console"];
  const source = textOf(folders.flatMap((folder) => [`${folder}/*.{js,mjs,ts,sh}`, `${folder}/!(build|node_modules)/**/*.{js,mjs,ts,tsx,css}`]), ".");
  const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync("package.json", "utf8"));
  const isUsed = (name) => {
    const { bin = {} } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
    const programs = typeof bin === "string" ? [name] : Object.keys(bin);
    const isImported = new RegExp(`["'\`(](@\\w+/)?${name}(/[^"'\`]*)?["'\`)]`).test(source);
    return isImported || programs.some((program) => new RegExp(`(^|[\\s"'/=])${program}([\\s"']|$)`, "m").test(source));
  };
  assert.deepEqual([...Object.keys(dependencies), ...Object.keys(devDependencies)].filter((name) => !isUsed(name)), []);
});
