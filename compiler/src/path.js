// Paths of a project: relative to its root, with forward slashes.

/** The folder of a path, with its slash; empty at the root. */
export const folder = (path) => path.slice(0, path.lastIndexOf("/") + 1);

/** A path's last part. */
export const name = (path) => path.slice(path.lastIndexOf("/") + 1);

/** The extension of a path, without its dot, in lower case. */
export function extension(path) {
  const last = name(path);
  const dot = last.lastIndexOf(".");
  return dot < 0 ? "" : last.slice(dot + 1).toLowerCase();
}

/** Resolves `path` relative to `folder`; undefined if it leads out of the project. */
export function join(folder, path) {
  const parts = [];
  for (const part of `${folder}/${path}`.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/");
}

/** The relative specifier with which a module at `from` imports the file at `to`. */
export function relative(from, to) {
  const up = folder(from).split("/").slice(0, -1), down = to.split("/");
  let same = 0;
  while (same < up.length && up[same] === down[same] && same < down.length - 1) same += 1;
  return (up.length === same ? "./" : "../".repeat(up.length - same)) + down.slice(same).join("/");
}
