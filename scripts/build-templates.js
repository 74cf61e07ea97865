// Packs each directory of templates/ into one file of public/templates/, path
// to text. The sandbox model's templates lie beside the Worker and not in it,
// because V8 reads the whole Worker before its first response.

import { globSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { relative, sep } from "node:path";

const FROM = "templates";
const TO = "public/templates";

function pack(directory) {
  const root = `${FROM}/${directory}`;
  const paths = globSync(`${root}/**/*`).filter((path) => statSync(path).isFile()).sort();
  return Object.fromEntries(
    paths.map((path) => [relative(root, path).split(sep).join("/"), readFileSync(path, "utf8")]),
  );
}

mkdirSync(TO, { recursive: true });
for (const directory of readdirSync(FROM)) {
  writeFileSync(`${TO}/${directory}.json`, JSON.stringify(pack(directory)));
}
