// What the scripts make of a Wasm: the table of scripts/size-table.js, and the order of scripts/order-functions.js.

import assert from "node:assert/strict";
import { test } from "node:test";

import binaryen from "binaryen";

import { named, ordered } from "../scripts/order-functions.js";
import { contributors, owner } from "../scripts/size-table.js";
import { functionNames, functions, sections } from "../scripts/wasm.js";

const MODULE = `(module
  (import "js" "log" (func $log (param i32)))
  (import "js" "table" (table 1 funcref))
  (import "js" "memory" (memory 1 2))
  (import "js" "base" (global $base i32))
  (data (i32.const 0) "${"x".repeat(300)}")
  (func $hatch::chat::begin (export "a") (call $log (i32.const 1)) (call $log (i32.const 2)))
  (func $hatch::chat::turn::end (export "b") (call $log (i32.const 3)))
  (func $<serde_json::Value_as_Clone>::clone (export "c") (call $log (i32.const 4))))`;

function built(hasNames) {
  const module = binaryen.parseText(MODULE);
  binaryen.setDebugInfo(hasNames);
  return Buffer.from(module.emitBinary());
}

test("Code counts for its module or crate, without imports, and data for itself", () => {
  const sizes = new Map(contributors(built(true)));
  assert.deepEqual([...sizes.keys()], ["data: text, tables, templates", "hatch::chat", "serde_json"]);
  assert.ok(sizes.get("data: text, tables, templates") >= 300);
  assert.ok(sizes.get("hatch::chat") > sizes.get("serde_json"));
});

test("A build without names is refused, with the command for one that has them", () => {
  assert.throws(() => contributors(built(false)), /build\.sh --dev/);
});

test("A function's name says which crate it belongs to", () => {
  for (const [name, whose] of [
    ["hatch::chat::begin", "hatch::chat"], ["<hatch::http::Page as core::fmt::Debug>::fmt", "hatch::http"],
    ["<&mut serde_json::de::Deserializer<R> as serde::Deserializer>::next", "serde_json"], ["core::fmt::write", "core"],
    ["memcpy", "names without a crate"], ["", "names without a crate"],
  ]) {
    assert.equal(owner(name), whose, name);
  }
});

test("Functions that have much in common follow each other, each once", () => {
  const text = (seed) => Array.from({ length: 2_000 }, (_, n) => Math.abs(Math.trunc(Math.sin(seed * 10_000 + n) * 1e6)).toString(36)).join("");
  const codes = [1, 2, 3, 4].flatMap((seed) => [Buffer.from(text(seed)), Buffer.from(`${text(seed).slice(0, 5_000)}${text(seed + 10)}`)]);
  // The first, third, fifth and seventh, then those that are like them.
  const mixed = [0, 2, 4, 6, 1, 3, 5, 7].map((at) => codes[at]);
  const order = ordered(mixed);
  assert.deepEqual(order.toSorted(), [...mixed.keys()]);
  for (const kind of [0, 1, 2, 3]) assert.equal(Math.abs(order.indexOf(kind) - order.indexOf(kind + 4)), 1, String(order));
});

test("A named binary is the same program, whose functions have the names of their places", () => {
  const wasm = built(true);
  const again = named(wasm, [2, 0, 1]);
  assert.deepEqual(functions(again), functions(wasm));
  const names = sections(again).filter(({ kind }) => kind === 0).map(({ bytes }) => functionNames(bytes)).find(Boolean);
  // The first function is imported.
  assert.deepEqual([...names], [[1, "0000001"], [2, "0000002"], [3, "0000000"]]);
  const run = (bytes) => {
    const told = [];
    const imports = { log: (n) => told.push(n), table: new WebAssembly.Table({ initial: 1, element: "anyfunc" }), memory: new WebAssembly.Memory({ initial: 1, maximum: 2 }), base: 0 };
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { js: imports });
    for (const name of ["a", "b", "c"]) exports[name]();
    return told;
  };
  assert.deepEqual(run(again), run(wasm));
});
