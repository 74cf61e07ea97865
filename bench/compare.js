/** `node bench/compare.js before.json after.json`: prints two results of bench/results/ side by side. */
import { readFileSync } from "node:fs";
import { comparison } from "./table.js";

const [before, after] = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, "utf8")));
console.log(comparison(before, after));
