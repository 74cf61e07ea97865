// What no project of people has, and what would keep the machine busy for
// minutes: it is refused before anything is done.

import { ofFile, ofProject } from "./diagnostic.js";

const MOST_FILES = 5_000;
const MOST_IMPORTS = 5_000;

/** Why files are too much to be compiled; undefined where they are not. */
export function excess(files) {
  if (files.size > MOST_FILES) return ofProject(`The project has ${files.size} files, and at most ${MOST_FILES} are compiled: leave out what the app does not need`);
  for (const [path, text] of files) {
    if ((text.match(/\b(import|require|from)\b/g)?.length ?? 0) > 2 * MOST_IMPORTS) return ofFile(path, `has more than ${MOST_IMPORTS} imports: write fewer, or import.meta.glob`);
  }
  return undefined;
}
