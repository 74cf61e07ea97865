// The web, as a proxy serves it: `GET <url>/https://host/path` (WEB_PROXY_URL = web.url). It returns what `startFaultServer`
// returns, takes its faults (with `path` as in `/https://acme.example/`), and refuses with 403, and remembers as
// `forbidden`, every address outside of the public web, because the Worker must never request one.
//
//   const web = await startWeb({ 'https://acme.example/': page('Acme', 'Books rooms.') });
//   web.pages['https://old.example/'] = redirect('https://acme.example/');

import { isIP } from 'node:net';
import { gzipSync } from 'node:zlib';
import { extend, startFaultServer } from './fault-server.js';

/** A page of HTML. */
export const page = (title, text, rest = '') => reply(`<!doctype html><html><head><title>${title}</title>${rest}</head><body><p>${text}</p></body></html>`);

/** An answer of any type. */
export const reply = (body, type = 'text/html; charset=utf-8', headers = {}) => ({ status: 200, headers: { 'content-type': type, ...headers }, pieces: [Buffer.from(body)] });

/** An answer that is packed: so many bytes of `a` within a few. */
export const bomb = (bytes) => reply(gzipSync(Buffer.concat([Buffer.from('<title>Bomb</title><p>tick '), Buffer.alloc(bytes, 'a ')])), 'text/html', { 'content-encoding': 'gzip' });

/** A redirect. */
export const redirect = (location, status = 302) => ({ status, headers: { location }, pieces: [] });

const PRIVATE = /(^|\.)(localhost|local|internal|intranet|corp|home|lan|arpa|onion|invalid|test|workers\.dev)$/;

/** Why an address is not in the public web. Undefined if it is. */
export function forbiddenBecause(text) {
  if (!URL.canParse(text)) return 'no URL';
  const { protocol, hostname, port, username, password, hash } = new URL(text);
  if (protocol !== 'https:') return 'not https';
  if (port || username || password || hash) return 'more than a name';
  if (isIP(hostname.replace(/^\[|\]$/g, ''))) return 'a number';
  if (!hostname.includes('.') || hostname.endsWith('.') || PRIVATE.test(hostname)) return 'a private name';
}

/** Starts it with pages by address, for a test to change. */
export async function startWeb(initial = {}) {
  const pages = { ...initial };
  const forbidden = [];
  const asked = ({ path, query }) => `${path.slice(1)}${query.size > 0 ? `?${query}` : ''}`;
  const text = (status, words) => ({ ...reply(words, 'text/plain'), status });

  const server = await startFaultServer({
    refusal(request) {
      const address = asked(request);
      if (!['GET', 'HEAD'].includes(request.method)) return text(405, 'Method not allowed');
      if (request.headers.authorization || request.headers.cookie) return text(400, 'No credential goes out to the web');
      if (forbiddenBecause(address)) {
        forbidden.push(address);
        return text(403, forbiddenBecause(address));
      }
      if (!pages[address]) return text(404, 'Not found');
    },
    answer: (request) => ({ ...pages[asked(request)] }),
    failure: (fault) => text(fault.status, 'Something went wrong'),
  });
  return extend(server, {
    pages,
    forbidden,
    /** The addresses that were asked for, in order. */
    get visited() {
      return server.requests.map(asked);
    },
    reset() {
      server.reset();
      forbidden.length = 0;
      for (const address of Object.keys(pages)) delete pages[address];
      Object.assign(pages, initial);
    },
  });
}
