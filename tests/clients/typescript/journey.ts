// The README's journey, from a prompt to a live app, by a client whose types
// openapi-typescript makes of public/openapi.json (api.d.ts, not in git).

import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./api.js";

type Schemas = components["schemas"];
export type Journey = {
  project: Schemas["Project"];
  saved: { messageId: string; projectId: string };
  deployment: Schemas["Deployment"];
  page: string;
  found: Schemas["App"][];
  copy: Schemas["Project"];
  skills: string[];
};

export async function journey(baseUrl: string): Promise<Journey> {
  const api = createClient<paths>({ baseUrl });
  const project = expected(await api.POST("/api/projects", { body: { name: "Pomodoro" } }));
  const saved = await said(api, { projectId: project.id, message: "A pomodoro timer with a tomato red look" });
  const { deploymentId } = expected(await api.POST("/api/deploy", { body: { projectId: project.id, target: "edge" } }));
  const deployment = await followed(api, deploymentId);
  if (!deployment.url) throw new Error(deployment.error ?? "live, and nowhere");
  const page = expected(await api.GET("/p/{slug}/", {
    params: { path: { slug: new URL(deployment.url).hostname.split(".")[0] ?? "" } },
    parseAs: "text",
  }));
  const found = expected(await api.GET("/api/discovery", { params: { query: { sort: "popular", limit: 10 } } }));
  const copy = expected(await api.POST("/api/discovery/{id}/remix", { params: { path: { id: project.id } } }));
  const { skills } = expected(await api.GET("/api/skillsmp", { params: { query: { q: "review", limit: 3 } } }));
  return { project, saved, deployment, page, found, copy, skills: skills.map(({ name }) => name) };
}

/** What a message came to, when the whole answer has been read. */
async function said(api: Client<paths>, message: Schemas["NewMessage"]): Promise<Journey["saved"]> {
  const answer = expected(await api.POST("/api/chat", { body: message, parseAs: "stream" }));
  let saved: Journey["saved"] | undefined;
  for await (const { event, data } of events(answer)) {
    if (event === "saved") saved = JSON.parse(data);
    if (event === "error") throw new Error(data);
  }
  if (!saved) throw new Error("the stream was cut");
  return saved;
}

/** A deployment when it has ended. */
async function followed(api: Client<paths>, id: string): Promise<Schemas["Deployment"]> {
  const params = { path: { id } };
  for await (const _ of events(expected(await api.GET("/api/deploy/{id}/stream", { params, parseAs: "stream" })))) {
    // Until it ends.
  }
  return expected(await api.GET("/api/deploy/{id}", { params }));
}

/** The answer, or its problem as an error. */
function expected<T>({ data, error, response }: { data?: T; error?: Schemas["Problem"] | string; response: Response }): T {
  if (data === undefined) throw new Error(typeof error === "object" ? error.detail : `answered ${response.status}`);
  return data;
}

async function* events(stream: ReadableStream<Uint8Array> | null): AsyncGenerator<{ event: string; data: string }> {
  if (!stream) return;
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    const blocks = (text + decoder.decode(bytes, { stream: true })).split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) yield parsed(block);
  }
}

function parsed(block: string): { event: string; data: string } {
  const of = (name: string) => block.split("\n").filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
  return { event: of("event")[0] ?? "message", data: of("data").join("\n") };
}
