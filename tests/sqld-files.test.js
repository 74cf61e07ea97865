import assert from "node:assert/strict";
import { test } from "node:test";
import { covering } from "./support/sqld-files.js";

const record = (file, seconds, ...statements) => ({ file, seconds, statements });

test("the chosen files cover every statement, and a file without a new one is not chosen", () => {
  const records = [record("slow", 100, "a", "b", "c"), record("quick", 1, "a", "b"), record("like it", 2, "a"), record("alone", 50, "d")];
  assert.deepEqual(covering(records).sort(), ["alone", "quick", "slow"]);
});

test("without statements no file is chosen", () => {
  assert.deepEqual(covering([]), []);
});
