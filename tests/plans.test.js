// The check of every statement's plan (plans.js), which runs after the tests of
// this folder.

import assert from "node:assert/strict";
import test from "node:test";
import { costs, faults } from "./support/plans.js";

test("A plan that scans a growing table, or sorts, is distinguished from one that uses an index", () => {
  const walks = ["SCAN j", "SCAN projects", "USE TEMP B-TREE FOR ORDER BY", "USE TEMP B-TREE FOR GROUP BY", "USE TEMP B-TREE FOR DISTINCT"];
  for (const line of walks) assert.deepEqual(costs([line]), [line]);
  const cheap = [
    "SEARCH projects USING INDEX projects_by_user (user_id=?)", "SCAN jobs USING INDEX jobs_recent", "SCAN f VIRTUAL TABLE INDEX 1:",
    "SCAN CONSTANT ROW", "SCAN skills", "USE TEMP B-TREE FOR RIGHT PART OF ORDER BY",
  ];
  assert.deepEqual(costs(cheap), []);
  assert.deepEqual(costs(["CO-ROUTINE row", "SCAN row", "MATERIALIZE found", "SCAN found"]), []);
});

test("A statement is judged by the existing tables and indexes", () => {
  const asked = (sql) => faults([sql]).map(({ costs }) => costs).flat();
  assert.deepEqual(asked("SELECT name AS json FROM projects WHERE user_id = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2"), []);
  assert.deepEqual(asked("SELECT name AS json FROM projects WHERE status = ?1"), ["SCAN projects"]);
  assert.deepEqual(asked("SELECT name AS json FROM projects WHERE user_id = ?1 ORDER BY name"), ["USE TEMP B-TREE FOR ORDER BY"]);
  assert.deepEqual(asked("DELETE FROM site_files WHERE slug IN (SELECT slug FROM sites WHERE deployment_id = ?1)"), []);
});
