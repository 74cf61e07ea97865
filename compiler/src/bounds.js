// Limits for projects: larger ones would keep the machine busy for minutes, so
// they are refused before any work.

import { ofFile, ofProject } from "./diagnostic.js";

const MOST_FILES = 5_000;
const MOST_IMPORTS = 5_000;

/** Why the files are too many or too large to compile; undefined if they are not. */
export function excess(files) {
  if (files.size > MOST_FILES) return ofProject(`The project has ${files.size} files, and at most ${MOST_FILES} are compiled: leave out what the app does not need`);
  for (const [path, text] of files) {
    if ((text.match(/\b(import|require|from)\b/g)?.length ?? 0) > 2 * MOST_IMPORTS) return ofFile(path, `has more than ${MOST_IMPORTS} imports: write fewer, or import.meta.glob`);
  }
  return undefined;
}
