import { once } from "node:events";

const SAMPLE_US = 200;

/** V8's profiler of one isolate, over the Chrome DevTools Protocol. */
export class Profiler {
  #socket;
  #waiting = new Map();
  #sent = 0;

  static async start(url) {
    const profiler = new Profiler();
    profiler.#socket = new WebSocket(url);
    profiler.#socket.onmessage = ({ data }) => {
      const { id: answered, result } = JSON.parse(data);
      profiler.#waiting.get(answered)?.(result);
    };
    await once(profiler.#socket, "open");
    await profiler.#call("Profiler.enable");
    await profiler.#call("Profiler.setSamplingInterval", { interval: SAMPLE_US });
    await profiler.#call("Profiler.start");
    return profiler;
  }

  /** `[frame, microseconds of its own]` of each function that was seen at work. */
  async stop() {
    const { profile } = await this.#call("Profiler.stop");
    this.#socket.close();
    const self = new Map(profile.nodes.map(({ id, callFrame }) => [id, [callFrame, 0]]));
    profile.samples?.forEach((id, i) => (self.get(id)[1] += profile.timeDeltas[i]));
    return [...self.values()].filter(([{ functionName }]) => functionName !== "(idle)");
  }

  #call(method, params = {}) {
    const id = ++this.#sent;
    this.#socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }
}
