// EventSource as browsers have it (WHATWG HTML, 9.2): an event without a name
// goes to `onmessage`, one with a name only to who listens for that name; the
// end of a stream is an `onerror`, after which it connects again with the last
// id it has seen; any status but 200 is an `onerror` that ends it.

/** Parses a stream: each event as `{type, data, lastEventId}`, however the reads are cut. */
export class EventStreamParser {
  lastEventId = "";
  #rest = "";
  #fields = {};

  /** The events that this text completes. */
  push(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    return lines.map((line) => this.#line(line.replace(/\r$/, ""))).filter(Boolean);
  }

  #line(line) {
    if (line === "") return this.#dispatched();
    const [, name, value] = line.match(/^([^:]*)(?:: ?(.*))?$/s);
    if (name === "data") this.#fields.data = this.#fields.data === undefined ? value ?? "" : `${this.#fields.data}\n${value ?? ""}`;
    if (name === "event") this.#fields.type = value;
    if (name === "id") this.lastEventId = value ?? "";
    return undefined;
  }

  #dispatched() {
    const { type = "message", data } = this.#fields;
    this.#fields = {};
    return data === undefined ? undefined : { type, data, lastEventId: this.lastEventId };
  }
}

/** One EventSource over `open(headers)`, which answers as fetch does. Reconnects at once, where a browser waits for seconds. */
export class EventSource {
  static OPEN = 1;
  static CLOSED = 2;
  readyState = 0;
  onmessage = () => {};
  onerror = () => {};
  connections = 0;
  #open;
  #parser = new EventStreamParser();

  constructor(open) {
    this.#open = open;
    /** Resolves when it is closed, by either side. */
    this.closed = this.#run();
  }

  close() {
    this.readyState = EventSource.CLOSED;
  }

  async #run() {
    while (this.readyState !== EventSource.CLOSED) {
      const { lastEventId } = this.#parser;
      this.connections += 1;
      const response = await this.#open({ accept: "text/event-stream", ...(lastEventId && { "last-event-id": lastEventId }) });
      if (response.status !== 200 || !response.headers.get("content-type")?.startsWith("text/event-stream")) this.close();
      else await this.#read(response);
      if (this.readyState !== EventSource.CLOSED || response.status !== 200) this.onerror();
    }
  }

  async #read(response) {
    this.readyState = EventSource.OPEN;
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      for (const event of this.#parser.push(text)) {
        if (event.type === "message") this.onmessage(event);
        if (this.readyState === EventSource.CLOSED) return;
      }
    }
    this.#parser = Object.assign(new EventStreamParser(), { lastEventId: this.#parser.lastEventId });
    this.readyState = 0;
  }
}
