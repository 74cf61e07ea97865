// Fetches files of packages from the CDN, each once per build: to find their
// exports, for style sheets, and to bundle whole packages.

/** Limit for one file; the largest package builds are smaller. */
const MOST_BYTES = 8_000_000;
/** Limit for all modules of an app's packages: far above the limit of a site. */
const MOST_IN_ALL = 16_000_000;
const MOST_FILES = 1_500;
/** Timeout for one file; the whole task has its own (bundler.js). */
const LONGEST_MS = 8_000;

const decoder = new TextDecoder();

/** @typedef {{status?: number, type: string, url: string, bytes: Uint8Array, readonly text: string}} CdnFile no status if there was no response */

export class CdnFiles {
  /** @param {{fetch: typeof fetch}} options */
  constructor({ fetch }) {
    Object.assign(this, { fetch, asked: new Map(), bytes: 0 });
  }

  /** @returns {Promise<CdnFile>} */
  ask(url) {
    if (!this.asked.has(url)) this.asked.set(url, this.fetched(url));
    return this.asked.get(url);
  }

  /** Why the packages are too large to bundle; undefined if they are not. */
  excess() {
    if (this.asked.size > MOST_FILES) return `the packages have more than ${MOST_FILES} modules`;
    return this.bytes > MOST_IN_ALL ? `the packages have more than ${MOST_IN_ALL / 1e6} MB` : undefined;
  }

  async fetched(url) {
    const nothing = { type: "", url, bytes: new Uint8Array(), text: "" };
    if (this.excess()) return { ...nothing, status: 200 };
    try {
      const response = await this.fetch(url, { signal: AbortSignal.timeout(LONGEST_MS) });
      const bytes = response.ok ? await limited(response) : nothing.bytes;
      this.bytes += bytes.length;
      const type = response.ok ? response.headers.get("content-type") ?? "" : "";
      return { status: response.status, type, url: response.url || url, bytes, get text() { return decoder.decode(bytes); } };
    } catch {
      return nothing;
    }
  }
}

async function limited(response) {
  const parts = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > MOST_BYTES) throw new Error("too large");
    parts.push(part);
  }
  const all = new Uint8Array(length);
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}

/** The package of a CDN URL, in the CDN's notation: `react@19.3.1`. */
export const nameAt = (cdn, url) => decodeURIComponent(url.slice(cdn.length)).match(/^\/(?:v\d+\/|\*)?((?:@[^/]+\/)?[^/?&]+)/)?.[1];
