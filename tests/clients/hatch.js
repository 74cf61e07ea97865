// How Hatch's web and desktop front ends read our responses, rule by rule,
// carelessness included.

/**
 * The web page: keeps nothing from one read to the next, takes lines that begin
 * with `data: `, adds their `text`, and stops at a truthy `done`. What is no JSON is passed over.
 */
export async function readAsPage(response) {
  if (!response.ok) throw new Error("Sorry, an error occurred. Please try again.");
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    for (const line of decoder.decode(chunk).split("\n")) {
      if (!line.startsWith("data: ")) continue;
      let data;
      try {
        data = JSON.parse(line.slice(6));
      } catch {
        continue;
      }
      if (data.text) text += data.text;
      if (data.done) return text;
    }
  }
  return text;
}

/** The desktop's stream ended without `done`: the desktop sends the message again, up to three times. */
export class StreamInterrupted extends Error {}

/**
 * The desktop: carries half lines over, takes `data:` with or without a space,
 * breaks at JSON that is none, and knows an end only by `done === true`.
 */
export async function readAsDesktop(response) {
  if (!response.ok) throw new Error(`Chat request failed (${response.status})`);
  let [text, rest] = ["", ""];
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "") continue;
      const event = JSON.parse(data);
      if (event.text) text += event.text;
      if (event.done === true) return text;
    }
  }
  throw Object.assign(new StreamInterrupted("[Stream interrupted — click Retry]"), { text });
}
