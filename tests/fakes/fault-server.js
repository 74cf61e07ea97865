// The base of every fake service: an HTTP server on a free port of localhost, a log of requests, and faults.
//
// The order is always the same: read the request, let the fake refuse it, and only then apply a fault, so that a fault
// never hides a bad request. A fault ends after the requests that it struck.
import http from 'node:http';
import { once } from 'node:events';
import { setImmediate, setTimeout } from 'node:timers/promises';

/**
 * Faults that any service can have; a fake may add its own. All sizes count bytes of the body.
 *
 * - `times`            how many requests it strikes (1); `Infinity` until `setFault()` or `reset()`
 * - `path`             which path it strikes: exact, or a prefix when it ends in `/` (the fake's default)
 * - `refuse`           close the socket as soon as the head of the request arrives
 * - `hang`             read the request and answer nothing until `release()`
 * - `status`           answer this status instead, in the service's own error shape; with `type`, `message`, `headers`,
 *                      or `html: true` for the page of a proxy in front of it
 * - `cutAfterBytes`    send exactly so many bytes, then close the socket (0: the head alone)
 * - `stallAfterBytes`  send exactly so many bytes, then nothing until `release()`
 * - `chunkBytes`       write pieces of so many bytes, each in its own TCP write, wherever that splits a character
 * - `delayMs`          wait between pieces
 * - `garbage`          status 200 and a body that does not parse
 * - `wrongContentType` the right body, called `text/html`
 * - `hugeBytes`        a right body drowned in so many bytes of blanks
 */
const FAULTS = [
  'times', 'path', 'refuse', 'hang', 'status', 'type', 'message', 'headers', 'html', 'cutAfterBytes', 'stallAfterBytes',
  'chunkBytes', 'delayMs', 'garbage', 'wrongContentType', 'hugeBytes',
];

const HTML_PAGE = '<!DOCTYPE html>\n<html><head><title>500: Internal Server Error</title></head>'
  + '<body><center><h1>500: Internal Server Error</h1></center><hr><center>cloudflare</center></body></html>\n';

/** A JSON reply. */
export function json(status, value, headers = {}) {
  return { status, headers: { 'content-type': 'application/json', ...headers }, pieces: [Buffer.from(JSON.stringify(value))] };
}

/** A server with further properties, getters left as they are. */
export const extend = (server, more) => Object.defineProperties({}, { ...Object.getOwnPropertyDescriptors(server), ...Object.getOwnPropertyDescriptors(more) });

/**
 * Starts a server.
 *
 * `service.refusal(request)` gives the reply to a bad request, or nothing when it is good.
 * `service.answer(request, fault)` gives the reply to a good one: `{status, headers, pieces: [Buffer]}`, one piece an event.
 * `service.failure(fault, request)` gives the service's error for `fault.status`.
 * `service.faults` names the faults that the service adds; `service.faultPath` is where faults strike by default.
 * `service.maxBody` is how much body is kept: a longer one is read to its end and marked `request.tooLarge`.
 *
 * A request in the log is `{method, path, query, headers, raw, body, status, fault, bytesSent, outcome, ended}`: `query` a
 * URLSearchParams, `raw` the body's bytes, `body` its JSON or undefined, `outcome` one of `complete`, `refused`, `cut`,
 * `left` (the client closed first), and `ended` a promise of that outcome.
 */
export async function startFaultServer(service) {
  const known = new Set([...FAULTS, ...(service.faults ?? [])]);
  const sockets = new Set();
  const requests = [];
  let faults = [];
  let waiting = [];
  let held = [];

  const server = http.createServer({ keepAliveTimeout: 0 }, (req, res) => {
    handle(req, res).catch((error) => {
      // A client may leave while it sends; any other error is a bug in the fake or in the test's answer.
      if (error.code !== 'ECONNRESET') console.error(error);
      res.destroy();
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  async function handle(req, res) {
    const request = begin(req, res);
    if (faultFor(request)?.refuse) {
      request.fault = takeFault(request);
      request.mark('refused');
      req.socket.destroy();
      return log(request);
    }
    await readBody(req, request, service.maxBody ?? Infinity);
    let reply = service.refusal(request);
    if (!reply) {
      request.fault = takeFault(request) ?? {};
      if (request.fault.hang || request.fault.stallAfterBytes !== undefined) hold(request);
      reply = struck(request, request.fault);
    }
    request.status = reply.status;
    log(request);
    if (request.fault?.hang) await Promise.race([request.released, request.ended]);
    await send(res, request, reply);
  }

  function struck(request, fault) {
    if (fault.html) return { status: fault.status ?? 500, headers: { 'content-type': 'text/html', ...fault.headers }, pieces: [Buffer.from(HTML_PAGE)] };
    if (fault.status) return service.failure(fault, request);
    const reply = service.answer(request, fault);
    if (fault.hugeBytes) reply.pieces = [Buffer.alloc(fault.hugeBytes, ' '), ...reply.pieces];
    if (fault.garbage) reply.pieces = [service.garbage?.(request) ?? Buffer.from('{"data":[{"name":"cut sho')];
    if (fault.wrongContentType) reply.headers = { ...reply.headers, 'content-type': 'text/html; charset=utf-8' };
    return reply;
  }

  async function send(res, request, { status, headers, pieces }) {
    if (request.outcome) return;
    const fault = request.fault ?? {};
    let limit = fault.cutAfterBytes ?? fault.stallAfterBytes ?? Infinity;
    res.writeHead(status, headers);
    res.flushHeaders();
    if (request.method === 'HEAD') return res.end();
    for (const piece of split(pieces, fault)) {
      const room = Math.min(limit - request.bytesSent, piece.length);
      await write(res, request, piece.subarray(0, room));
      if (request.bytesSent >= limit) {
        if (fault.cutAfterBytes !== undefined) return cut(res, request);
        limit = Infinity;
        await Promise.race([request.released, request.ended]);
        await write(res, request, piece.subarray(room));
      }
      if (request.outcome) return;
      if (fault.delayMs) await setTimeout(fault.delayMs);
      else if (fault.chunkBytes) await setImmediate();
    }
    if (fault.cutAfterBytes !== undefined) return cut(res, request);
    res.end();
  }

  function cut(res, request) {
    request.mark('cut');
    res.socket?.destroy();
  }

  function faultFor({ path }) {
    return faults.find((fault) => {
      const where = fault.path ?? service.faultPath ?? '/';
      return fault.times > 0 && (where.endsWith('/') ? path.startsWith(where) : path === where);
    });
  }

  function takeFault(request) {
    const fault = faultFor(request);
    if (fault) fault.times -= 1;
    return fault;
  }

  // From its fault on: a test that releases as soon as it has read something may be quicker than the stall.
  function hold(request) {
    const { promise, resolve } = Promise.withResolvers();
    Object.defineProperty(request, 'released', { value: promise });
    held.push(resolve);
  }

  function log(request) {
    requests.push(request);
    for (const resolve of waiting) resolve(request);
    waiting = [];
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    /** Base URL, with no slash at its end. */
    url: `http://127.0.0.1:${server.address().port}`,
    /** Every request so far, the refused ones too, oldest first. */
    requests,
    /** The faults to come, in order, in place of those set before; none for a healthy service. */
    setFault(...next) {
      for (const fault of next) {
        const unknown = Object.keys(fault).filter((name) => !known.has(name));
        if (unknown.length > 0) throw new TypeError(`no such fault: ${unknown.join(', ')}`);
      }
      faults = next.map((fault) => ({ times: 1, ...fault }));
    },
    /** Lets the requests in the log, which hang or stall or are about to, go on to their normal end. */
    release() {
      for (const resolve of held) resolve();
      held = [];
    },
    /** A promise of the next request, given when it is read and before it is answered. */
    nextRequest: () => new Promise((resolve) => waiting.push(resolve)),
    /** How many requests asked for a path. */
    count: (path) => requests.filter((request) => request.path === path).length,
    /** How many logged requests have no outcome yet. */
    get openRequests() {
      return requests.filter((request) => !request.outcome).length;
    },
    /** How many TCP connections are open now, those that a client keeps for later included. */
    get openConnections() {
      return sockets.size;
    },
    /** Forgets requests and faults. */
    reset() {
      requests.length = 0;
      faults = [];
    },
    /** Closes every socket and stops listening: from then on the connection is refused. */
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function begin(req, res) {
  const url = new URL(req.url, 'http://fake');
  const request = {
    method: req.method, path: url.pathname, query: url.searchParams, headers: req.headers,
    raw: Buffer.alloc(0), body: undefined, tooLarge: false, status: undefined, fault: undefined, bytesSent: 0, outcome: undefined,
  };
  request.ended = new Promise((resolve) => {
    request.mark = (outcome) => {
      request.outcome ??= outcome;
      resolve(request.outcome);
    };
  });
  Object.defineProperty(request, 'mark', { enumerable: false });
  res.once('finish', () => request.mark('complete'));
  res.once('close', () => request.mark('left'));
  return request;
}

async function readBody(req, request, maxBody) {
  const parts = [];
  let size = 0;
  for await (const part of req) {
    size += part.length;
    if (size <= maxBody) parts.push(part);
  }
  request.tooLarge = size > maxBody;
  request.raw = Buffer.concat(parts);
  try {
    request.body = JSON.parse(request.raw.toString('utf8'));
  } catch {
    request.body = undefined;
  }
}

// Resolves when the bytes left for the kernel, or when the socket is gone and they never will.
async function write(res, request, bytes) {
  if (bytes.length === 0 || request.outcome) return;
  await Promise.race([new Promise((resolve) => { res.write(bytes, resolve); }), request.ended]);
  if (!request.outcome) request.bytesSent += bytes.length;
}

function split(pieces, { chunkBytes, delayMs }) {
  if (chunkBytes) {
    const whole = Buffer.concat(pieces);
    return Array.from({ length: Math.ceil(whole.length / chunkBytes) }, (_, i) => whole.subarray(i * chunkBytes, (i + 1) * chunkBytes));
  }
  return delayMs ? pieces : [Buffer.concat(pieces)];
}
