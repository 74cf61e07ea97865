// The table that scripts/size-table.js makes of a Wasm.

import assert from "node:assert/strict";
import { test } from "node:test";

import binaryen from "binaryen";

import { contributors, owner } from "../scripts/size-table.js";

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
