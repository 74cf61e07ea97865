// Diagnostics: a message, a position in a file, and the lines around it.

/**
 * @typedef {object} Diagnostic src/upstream/compiler.rs reads it
 * @property {string} path empty when it is about the project as a whole
 * @property {number} line from 1; 0 when it is about the file as a whole
 * @property {number} column from 1, in characters
 * @property {string} message
 * @property {string} frame the lines around the place, numbered, with a caret under it; may be empty
 */

/** Characters of a line that a frame shows. */
const WIDTH = 100;
/** Of a longer line, how many characters before the position are shown. */
const BEFORE = 60;
/** Limit for a message in characters: names from the project may be of any length. */
const MOST_OF_A_MESSAGE = 400;

export const ofProject = (message) => ofFile("", message);

export const ofFile = (path, message) => ({ path, line: 0, column: 0, message: short(message), frame: "" });

/** A diagnostic at an offset of `source`, in UTF-16 units; offsets beyond the end count as the end. */
export function at(path, source, offset, message) {
  const before = source.slice(0, offset);
  const line = before.split("\n").length;
  return atLine(path, source, line, [...before.slice(before.lastIndexOf("\n") + 1)].length + 1, message);
}

/** A diagnostic at a line and column, both from 1. */
export const atLine = (path, source, line, column, message) =>
  ({ path, line, column, message: short(message), frame: frame(source, line, column) });

/** Sorted and without duplicates; beyond `most`, only the number of further ones is given. */
export function bounded(wrong, most) {
  const all = sorted(wrong);
  if (all.length <= most) return all;
  return [...all.slice(0, most), ofProject(`${all.length - most} more errors are not shown`)];
}

/** Sorted by file and position, without duplicates. */
export function sorted(wrong) {
  const byPlace = (a, b) => compare(a.path, b.path) || a.line - b.line || a.column - b.column;
  const once = new Map(wrong.map((one) => [JSON.stringify([one.path, one.line, one.column, one.message]), one]));
  return [...once.values()].sort(byPlace);
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** Shortens a message to one line of limited length. */
function short(message) {
  const characters = [...message.slice(0, 4 * MOST_OF_A_MESSAGE).replace(/\p{Cc}+/gu, " ")];
  return characters.length <= MOST_OF_A_MESSAGE ? characters.join("") : `${characters.slice(0, MOST_OF_A_MESSAGE).join("")}…`;
}

/** The line before, the line itself with a caret under it, and the line after. */
function frame(source, line, column) {
  const digits = String(line + 1).length;
  const from = column > WIDTH ? column - BEFORE : 1;
  const lines = source.split("\n");
  const shown = [];
  for (let number = Math.max(line - 1, 1); number <= Math.min(line + 1, lines.length); number += 1) {
    const text = [...lines[number - 1].slice(0, 2 * (from + WIDTH))].slice(from - 1, from - 1 + WIDTH).join("");
    shown.push(`${number === line ? ">" : " "} ${String(number).padStart(digits)} | ${text.replace(/\p{Cc}/gu, " ").trimEnd()}`);
    if (number === line) shown.push(`  ${" ".repeat(digits)} | ${" ".repeat(column - from)}^`);
  }
  return `${shown.join("\n")}\n`;
}
