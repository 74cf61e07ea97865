// Presents the project's files as a read-only file system with the part of
// Node's `fs` that Go's runtime uses. So esbuild can resolve imports and read
// tsconfig.json and package.json itself.

const encoder = new TextEncoder(), decoder = new TextDecoder();
const DIRECTORY = 0o040755, FILE = 0o100644;

const failure = (code) => Object.assign(new Error(code), { code });
const refused = (...args) => args.at(-1)(failure("ENOSYS"));
const plain = (path) => (path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path);

/**
 * @param {Map<string, string>} files absolute path to text
 * @param {(text: string) => void} complaint called with text written to standard error
 */
export function fileSystem(files, complaint) {
  const folders = new Map([["/", new Set()]]), open = new Map(), encoded = new Map();
  let descriptors = 2, readStandardInput, writeStandardOutput;
  for (const path of files.keys()) addToFolders(folders, path);

  const bytes = (path) => {
    if (!encoded.has(path)) encoded.set(path, encoder.encode(files.get(path)));
    return encoded.get(path);
  };
  const stats = (path) => {
    const mode = folders.has(path) ? DIRECTORY : files.has(path) ? FILE : undefined;
    if (mode === undefined) return undefined;
    const size = mode === FILE ? bytes(path).length : 0;
    const numbers = { dev: 1, ino: 1, mode, nlink: 1, uid: 0, gid: 0, rdev: 0, size, blksize: 4096, blocks: 1, atimeMs: 0, mtimeMs: 0, ctimeMs: 0 };
    return { ...numbers, isDirectory: () => mode === DIRECTORY };
  };
  const answer = (value, callback) => (value === undefined ? callback(failure("ENOENT")) : callback(null, value));

  return {
    constants: { O_WRONLY: 1, O_RDWR: 2, O_CREAT: 64, O_EXCL: 128, O_TRUNC: 512, O_APPEND: 1024, O_DIRECTORY: 65536 },
    stat: (path, callback) => answer(stats(plain(path)), callback),
    lstat: (path, callback) => answer(stats(plain(path)), callback),
    readlink: (_path, callback) => callback(failure("EINVAL")),
    readdir(path, callback) {
      const names = folders.get(plain(path));
      answer(names && [...names], callback);
    },
    open(path, _flags, _mode, callback) {
      const found = plain(path);
      if (!files.has(found) && !folders.has(found)) return callback(failure("ENOENT"));
      descriptors += 1;
      open.set(descriptors, { path: found, at: 0 });
      return callback(null, descriptors);
    },
    fstat: (descriptor, callback) => answer(stats(open.get(descriptor)?.path), callback),
    close(descriptor, callback) {
      open.delete(descriptor);
      callback(null);
    },
    fsync: (_descriptor, callback) => callback(null),
    write(descriptor, buffer, _offset, _length, _position, callback) {
      callback(null, this.writeSync(descriptor, buffer));
    },
    // esbuild overrides these two for its standard input and output; other
    // descriptors are files.
    get read() {
      return (descriptor, buffer, offset, length, position, callback) => {
        if (descriptor === 0) return readStandardInput(descriptor, buffer, offset, length, position, callback);
        const file = open.get(descriptor);
        if (!file || !files.has(file.path)) return callback(failure("EISDIR"));
        const from = position ?? file.at;
        const part = bytes(file.path).subarray(from, from + length);
        buffer.set(part, offset);
        if (position === null) file.at += part.length;
        return callback(null, part.length);
      };
    },
    set read(read) {
      readStandardInput = read;
    },
    get writeSync() {
      return (descriptor, buffer) => {
        if (descriptor !== 2) return writeStandardOutput(descriptor, buffer);
        complaint(decoder.decode(buffer));
        return buffer.length;
      };
    },
    set writeSync(write) {
      writeStandardOutput = write;
    },
    chmod: refused, chown: refused, fchmod: refused, fchown: refused, ftruncate: refused, lchown: refused, link: refused, mkdir: refused,
    rename: refused, rmdir: refused, symlink: refused, truncate: refused, unlink: refused, utimes: refused,
  };
}

function addToFolders(folders, path) {
  for (let child = path; child !== "/"; ) {
    const parent = child.slice(0, child.lastIndexOf("/")) || "/";
    if (!folders.has(parent)) folders.set(parent, new Set());
    folders.get(parent).add(child.slice(child.lastIndexOf("/") + 1));
    child = parent;
  }
}
