// multipart/form-data, read as strictly as a server may: CRLF everywhere, a boundary before each part and at the end,
// each part a form-data with a name.

/**
 * @param {string | undefined} contentType of the request
 * @param {Buffer} raw its body
 * @returns {{parts?: {name: string, filename?: string, type?: string, body: Buffer}[], wrong?: string}}
 */
export function parseForm(contentType, raw) {
  const [, quoted, bare] = contentType?.match(/^multipart\/form-data;\s*boundary=(?:"([^"]+)"|([^\s;"]+))$/i) ?? [];
  const boundary = quoted ?? bare;
  if (!boundary) return { wrong: `Content-Type ${contentType} is no multipart/form-data with a boundary` };
  if (boundary.length > 70) return { wrong: 'the boundary is longer than 70 characters' };
  // One character a byte, so that indexes are those of the bytes.
  const text = raw.toString('latin1');
  const open = `--${boundary}\r\n`;
  if (!text.startsWith(open)) return { wrong: 'the body does not begin with its boundary and CRLF' };
  const end = text.match(new RegExp(`\r\n--${boundary.replace(/[.*+?^$()|[\]\\{}]/g, '\\$&')}--(\r\n)?$`));
  if (!end) return { wrong: 'the body does not end with its boundary' };
  const parts = [];
  for (const piece of text.slice(open.length, end.index).split(`\r\n${open}`)) {
    const gap = piece.indexOf('\r\n\r\n');
    if (gap < 0) return { wrong: 'a part has no empty line after its headers' };
    const part = parsePart(piece.slice(0, gap).split('\r\n'), Buffer.from(piece.slice(gap + 4), 'latin1'));
    if (part.wrong) return part;
    parts.push(part);
  }
  const names = parts.map(({ name }) => name);
  if (new Set(names).size < names.length) return { wrong: 'two parts have one name' };
  return { parts };
}

function parsePart(lines, body) {
  const headers = new Map();
  for (const line of lines) {
    const [, name, value] = line.match(/^([!-9;-~]+): (.*)$/) ?? [];
    if (!name) return { wrong: `a part's header is ${JSON.stringify(line)}` };
    if (headers.has(name.toLowerCase())) return { wrong: `a part has ${name} twice` };
    headers.set(name.toLowerCase(), value);
  }
  const disposition = headers.get('content-disposition');
  const [, name, , filename] = disposition?.match(/^form-data; name="([^"]+)"(; filename="([^"]*)")?$/) ?? [];
  if (!name) return { wrong: `a part's Content-Disposition is ${disposition}` };
  const unknown = [...headers.keys()].find((header) => !['content-disposition', 'content-type'].includes(header));
  if (unknown) return { wrong: `a part has the header ${unknown}` };
  return { name, filename, type: headers.get('content-type'), body };
}
