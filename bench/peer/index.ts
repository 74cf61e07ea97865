/**
 * The peer: the measured routes as a good engineer writes them in the originals' own stack, Hono with Drizzle and zod on D1.
 * It keeps what Hatch keeps of a chat turn: both messages and the code of the answer.
 */
import { asc, desc, eq } from "drizzle-orm";
import { drizzle, type DrizzleD1Database } from "drizzle-orm/d1";
import { Hono } from "hono";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { streamSSE } from "hono/streaming";
import { z } from "zod";
import { claudeEvents, openClaudeStream, type Turn } from "./claude";
import { chatMessages, projects, uptimeRecords } from "./schema";

interface Env {
  Bindings: { DB: D1Database; WORKER_HEARTBEATS: KVNamespace; CLAUDE_API_KEY: string; CLAUDE_BASE_URL: string };
}

const USER = "local";

const NewProject = z.object({ name: z.string().min(1).max(100), description: z.string().max(2000).optional() });
const ListQuery = z.object({ limit: z.coerce.number().int().min(1).max(100).default(20) });
const ChatRequest = z.object({ projectId: z.string(), message: z.string().min(1).max(32_000) });

const Beat = z.object({
  walletAddress: z.string().regex(/^0x[0-9a-fA-F]{40}$/),
  timestamp: z.iso.datetime(),
  containers: z.array(z.object({ containerName: z.string(), port: z.string().optional() })),
});

interface TimeRecord {
  startTime: string;
  endTime: string;
}

const GAP_MS = 30 * 60 * 1000;

const app = new Hono<Env>();

// What Hatch does for every answer, the same headers and a request id, with Hono's own middleware. Neither logs.
app.use(requestId());
app.use(
  secureHeaders({
    contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    crossOriginResourcePolicy: "cross-origin",
    referrerPolicy: "no-referrer",
    strictTransportSecurity: "max-age=31536000",
    xContentTypeOptions: true,
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xFrameOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
  }),
);
app.use(async (c, next) => {
  await next();
  c.header("cache-control", "no-store");
  c.header("vary", "Accept, Origin");
});

app.get("/", (c) => c.json({ status: "ok", service: "hatch-api" }));

app.post("/api/projects", async (c) => {
  const input = NewProject.safeParse(await c.req.json().catch(() => undefined));
  if (!input.success) return c.json({ error: z.prettifyError(input.error) }, 400);
  const now = new Date();
  const [project] = await drizzle(c.env.DB)
    .insert(projects)
    .values({ id: crypto.randomUUID(), userId: USER, ...input.data, createdAt: now, updatedAt: now })
    .returning();
  return c.json(project, 201);
});

app.get("/api/projects", async (c) => {
  const query = ListQuery.safeParse(c.req.query());
  if (!query.success) return c.json({ error: z.prettifyError(query.error) }, 400);
  const rows = await drizzle(c.env.DB)
    .select()
    .from(projects)
    .where(eq(projects.userId, USER))
    .orderBy(desc(projects.createdAt), desc(projects.id))
    .limit(query.data.limit);
  return c.json(rows);
});

// The logic of the plan's chapter 6.2, step by step; the two writes at its end go at once.
app.post("/heartbeat", async (c) => {
  const input = Beat.safeParse(await c.req.json().catch(() => undefined));
  if (!input.success) return c.json({ error: z.prettifyError(input.error) }, 400);
  const { walletAddress: wallet, timestamp, containers } = input.data;
  const kv = c.env.WORKER_HEARTBEATS;
  const record = await kv.get<TimeRecord>(`${wallet}:time`, "json");
  let startTime = record?.startTime ?? timestamp;
  if (record && Date.parse(timestamp) - Date.parse(record.endTime) > GAP_MS) {
    await drizzle(c.env.DB)
      .insert(uptimeRecords)
      .values({ wallet, timeFrom: new Date(record.startTime), timeTo: new Date(record.endTime) });
    startTime = timestamp;
  }
  await Promise.all([
    kv.put(`${wallet}:time`, JSON.stringify({ startTime, endTime: timestamp })),
    kv.put(`${wallet}:containers`, JSON.stringify(containers)),
  ]);
  return c.json({ success: true });
});

app.post("/api/chat", async (c) => {
  const input = ChatRequest.safeParse(await c.req.json().catch(() => undefined));
  if (!input.success) return c.json({ error: z.prettifyError(input.error) }, 400);
  const { projectId, message } = input.data;
  const db = drizzle(c.env.DB);

  const [found, history] = await db.batch([
    db.select({ id: projects.id }).from(projects).where(eq(projects.id, projectId)),
    db
      .select({ role: chatMessages.role, content: chatMessages.content })
      .from(chatMessages)
      .where(eq(chatMessages.projectId, projectId))
      .orderBy(asc(chatMessages.seq)),
  ]);
  if (found.length === 0) return c.json({ error: "Project not found" }, 404);

  const body = await openClaudeStream(c.env, [...history, { role: "user", content: message }]);
  if (!body) return c.json({ error: "Claude is not available" }, 502);

  return streamSSE(c, async (stream) => {
    let answer = "";
    for await (const event of claudeEvents(body)) {
      if (event.type !== "content_block_delta" || event.delta.type !== "text_delta") continue;
      answer += event.delta.text;
      await stream.writeSSE({ data: JSON.stringify({ text: event.delta.text }) });
    }
    await saveTurn(db, projectId, history.length, [
      { role: "user", content: message },
      { role: "assistant", content: answer },
    ]);
    await stream.writeSSE({ data: JSON.stringify({ done: true }) });
  });
});

/** Saves both sides of a turn, and the files of the answer as the project's code. */
async function saveTurn(db: DrizzleD1Database, projectId: string, firstSeq: number, turn: Turn[]) {
  const createdAt = new Date();
  const rows = turn.map((message, offset) => ({
    id: crypto.randomUUID(),
    projectId,
    userId: USER,
    seq: firstSeq + offset,
    ...message,
    createdAt,
  }));
  const code = JSON.stringify(extractFiles(turn.at(-1)?.content ?? ""));
  await db.batch([
    db.insert(chatMessages).values(rows),
    db.update(projects).set({ code, updatedAt: createdAt }).where(eq(projects.id, projectId)),
  ]);
}

/** The files of an answer: fenced blocks opened by ```` ```language:path ````. */
function extractFiles(answer: string): Record<string, string> {
  const blocks = answer.matchAll(/^```\w+:(\S+)\n([\s\S]*?)^```$/gm);
  return Object.fromEntries([...blocks].map(([, path, content]) => [path, content]));
}

export default app;
