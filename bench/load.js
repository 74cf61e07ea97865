/**
 * The load generator: keep-alive HTTP/1.1 on plain sockets, each connection sending its next request when the answer to
 * the last one is complete. `node:http` would itself be slower than the workers it measures.
 */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Sends at most `count` requests to 127.0.0.1:`port` over `connections` connections, starting none after `seconds`.
 *
 * `requestOf(i)` gives the i-th request as bytes. An answer counts only with the `status` wanted, or one of `statuses`, and, for streams, if
 * its last bytes hold `ending`; the first answer that differs ends the load with an error, because a rate of failures
 * means nothing. The connections start over `rampSeconds`, evenly, so that long answers do not move in step.
 *
 * Returns `{ done, seconds, firstByteMs, wholeMs, bodies, arrivals }`: the requests completed, the time they took and, in the
 * order of sending, the milliseconds from each to the first byte of its answer's body (or to the piece of it that holds `first`)
 * and to its end, and if `keep` is set the bodies and how they arrived, as `[milliseconds, bytes so far]`.
 */
export async function load({ port, requestOf, status = 200, statuses = [status], ending = "", first = "", connections = 16, rampSeconds = 0, count, seconds = 60, keep = false }) {
  const firstByteMs = [];
  const wholeMs = [];
  const bodies = [];
  const arrivals = [];
  const startedAt = performance.now();
  const lastStart = startedAt + seconds * 1000;
  let next = 0;

  async function sendInTurn(_, connection) {
    await sleep((connection / connections) * rampSeconds * 1000);
    const client = await Client.open(port);
    try {
      while (next < count && performance.now() < lastStart) {
        const sentAt = performance.now();
        const index = next++;
        const answer = await client.send(requestOf(index), keep, first);
        if (!statuses.includes(answer.status) || !answer.tail.includes(ending)) throw new UnexpectedAnswer(answer);
        firstByteMs[index] = answer.firstByteAt - sentAt;
        wholeMs[index] = performance.now() - sentAt;
        if (!keep) continue;
        bodies[index] = answer.body.toString();
        arrivals[index] = answer.arrivals.map(([at, bytes]) => [at - sentAt, bytes]);
      }
    } finally {
      client.close();
    }
  }
  await Promise.all(Array.from({ length: Math.min(connections, count) }, sendInTurn));

  return { done: firstByteMs.length, seconds: (performance.now() - startedAt) / 1000, firstByteMs, wholeMs, bodies, arrivals };
}

/** The bytes of a request; `body`, if there is one, is sent as JSON, `headers` (whole lines) as they are. */
export function httpRequest(method, path, body, headers = "", host = "127.0.0.1") {
  const head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\naccept: */*\r\nuser-agent: hatch-bench\r\n${headers}`;
  if (body === undefined) return Buffer.from(`${head}\r\n`);
  const json = JSON.stringify(body);
  return Buffer.from(`${head}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(json)}\r\n\r\n${json}`);
}

class UnexpectedAnswer extends Error {
  constructor({ status, tail }) {
    super(`unexpected answer ${status}: …${tail}`);
  }
}

/** A stalled worker is an error, not an endless bench. */
const STALL_MS = 30_000;
const TAIL_BYTES = 200;

/** One connection; one request at a time. */
export class Client {
  #socket;
  #answer;
  #settle;

  static async open(port) {
    const client = new Client();
    const socket = (client.#socket = connect({ port, host: "127.0.0.1", noDelay: true }));
    socket.on("data", (bytes) => client.#receive(bytes));
    socket.on("error", (error) => client.#fail(error));
    socket.on("close", () => client.#fail(new Error("the connection was closed before the answer was complete")));
    socket.setTimeout(STALL_MS, () => socket.destroy(new Error(`no byte for ${STALL_MS} ms`)));
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return client;
  }

  /** Resolves to `{ status, head, firstByteAt, tail, body }`; `body` only if `keep`. */
  send(bytes, keep, first) {
    return new Promise((resolve, reject) => {
      this.#answer = new Answer(keep, first);
      this.#settle = { resolve, reject };
      this.#socket.write(bytes);
    });
  }

  close() {
    this.#settle = undefined;
    this.#socket.destroy();
  }

  #receive(bytes) {
    if (!this.#answer?.take(bytes)) return;
    this.#settle?.resolve(this.#answer);
    this.#settle = undefined;
  }

  #fail(error) {
    this.#settle?.reject(error);
    this.#settle = undefined;
  }
}

const HEAD_END = Buffer.from("\r\n\r\n");
const LINE_END = Buffer.from("\r\n");

/** An answer as it arrives. */
class Answer {
  status;
  /** The status line and the headers, as sent. */
  head;
  firstByteAt;
  /** When how many bytes of the body had arrived, if it is kept. */
  arrivals = [];
  #kept = [];
  #keep;
  #first;
  #tail = Buffer.alloc(0);
  #unread = Buffer.alloc(0);
  #chunked = false;
  /** Bytes of the body, or of the present chunk, that are still to come; undefined before the length is known. */
  #remaining;
  #last = false;

  constructor(keep, first = "") {
    this.#keep = keep;
    this.#first = first;
  }

  get tail() {
    return this.#tail.toString();
  }

  get body() {
    return Buffer.concat(this.#kept);
  }

  /** Takes what arrived; true when the answer is complete. */
  take(bytes) {
    this.#unread = this.#unread.length ? Buffer.concat([this.#unread, bytes]) : bytes;
    if (this.status === undefined && !this.#takeHead()) return false;
    return this.#chunked ? this.#takeChunks() : this.#takeBody();
  }

  #takeHead() {
    const end = this.#unread.indexOf(HEAD_END);
    if (end < 0) return false;
    this.head = this.#unread.latin1Slice(0, end);
    this.#unread = this.#unread.subarray(end + HEAD_END.length);
    this.status = Number(this.head.slice(9, 12));
    this.#chunked = /\r\ntransfer-encoding: *chunked/i.test(this.head);
    if (!this.#chunked) this.#remaining = Number(/\r\ncontent-length: *(\d+)/i.exec(this.head)?.[1] ?? 0);
    return true;
  }

  #takeBody() {
    this.#takeData();
    return this.#remaining === 0;
  }

  #takeChunks() {
    for (;;) {
      if (this.#remaining === undefined) {
        const end = this.#unread.indexOf(LINE_END);
        if (end < 0) return false;
        this.#remaining = Number.parseInt(this.#unread.latin1Slice(0, end), 16);
        this.#unread = this.#unread.subarray(end + LINE_END.length);
        this.#last = this.#remaining === 0;
      }
      this.#takeData();
      if (this.#remaining > 0 || this.#unread.length < LINE_END.length) return false;
      this.#unread = this.#unread.subarray(LINE_END.length);
      this.#remaining = undefined;
      if (this.#last) return true;
    }
  }

  #takeData() {
    const data = this.#unread.subarray(0, this.#remaining);
    if (data.length === 0) return;
    if (data.includes(this.#first)) this.firstByteAt ??= performance.now();
    this.#remaining -= data.length;
    this.#unread = this.#unread.subarray(data.length);
    if (this.#keep) this.#note(data);
    this.#tail = data.length >= TAIL_BYTES ? data.subarray(-TAIL_BYTES) : Buffer.concat([this.#tail, data]).subarray(-TAIL_BYTES);
  }

  #note(data) {
    this.#kept.push(data);
    this.arrivals.push([performance.now(), (this.arrivals.at(-1)?.[1] ?? 0) + data.length]);
  }
}
