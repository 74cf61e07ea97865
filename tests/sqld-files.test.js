import assert from "node:assert/strict";
import { test } from "node:test";
import { covering } from "./sqld-files.js";

const record = (file, seconds, ...statements) => ({ file, seconds, statements });

test("every statement is asked by a file that is chosen, and what asks nothing new is not", () => {
  const records = [record("slow", 100, "a", "b", "c"), record("quick", 1, "a", "b"), record("like it", 2, "a"), record("alone", 50, "d")];
  assert.deepEqual(covering(records).sort(), ["alone", "quick", "slow"]);
});

test("where D1 was asked nothing there is nothing to ask again", () => {
  assert.deepEqual(covering([]), []);
});
