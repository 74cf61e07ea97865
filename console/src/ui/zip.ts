// A ZIP of text files, not compressed (APPNOTE 6.3.10): for taking code along.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (TABLE[(value ^ byte) & 0xff] ?? 0) ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** Numbers of two and of four bytes, the low byte first. */
function fields(...numbers: (readonly [2 | 4, number])[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(numbers.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, number] of numbers) {
    if (size === 2) view.setUint16(at, number, true);
    else view.setUint32(at, number, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

/** UTF-8 names, of the first day that a ZIP knows: the same code is the same file. */
const MADE = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 0x21]] as const;

export function zipOf(files: Record<string, string>): Blob {
  const encoder = new TextEncoder();
  const parts: Uint8Array<ArrayBuffer>[] = [], directory: Uint8Array<ArrayBuffer>[] = [];
  const sizeOf = (all: Uint8Array[]) => all.reduce((sum, { length }) => sum + length, 0);
  for (const [path, content] of Object.entries(files)) {
    const name = encoder.encode(path), bytes = encoder.encode(content);
    const about = [...MADE, [4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, name.length], [2, 0]] as const;
    directory.push(fields([4, 0x02014b50], [2, 20], ...about, [2, 0], [2, 0], [2, 0], [4, 0], [4, sizeOf(parts)]), name);
    parts.push(fields([4, 0x04034b50], ...about), name, bytes);
  }
  const count = directory.length / 2;
  const end = fields([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, sizeOf(directory)], [4, sizeOf(parts)], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
