// `node scripts/size.js --dev|--release`: checks that build/ is within its
// budget, after gzip, as Cloudflare counts it. `--set` sets the budget 3 %
// above the present size.
//
// V8 reads all of a Worker's Wasm before its first answer, so every kilobyte
// delays its users. `npm test` checks the development build, because a release
// takes minutes more; `npm run deploy` checks the release before it deploys it.

import { globSync, readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const BUDGETS = "scripts/size-budget.json";
const MARGIN = 1.03;

/** What is wrong with a size, in words; nothing when it is within the budget. */
export function overrun(bytes, budget) {
  if (bytes <= budget) return undefined;
  const kilobytes = (number) => Math.ceil(number / 1024).toLocaleString("en");
  return `the Worker is ${kilobytes(bytes)} KB after gzip, and its budget ${kilobytes(budget)} KB: make it smaller, or say in the commit why it must grow and run this with --set`;
}

function main([profile, set]) {
  const budgets = JSON.parse(readFileSync(BUDGETS, "utf8"));
  const bytes = globSync("build/**/*.{js,wasm}").reduce((sum, path) => sum + gzipSync(readFileSync(path)).length, 0);
  if (set === "--set") {
    budgets[profile] = Math.round(bytes * MARGIN);
    writeFileSync(BUDGETS, `${JSON.stringify(budgets, null, 2)}\n`);
  }
  const wrong = overrun(bytes, budgets[profile]);
  if (wrong) console.error(wrong);
  process.exitCode = wrong ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main(process.argv.slice(2));
