/**
 * The *keeping* limit: the least cost of a chat that is stored. The limit's plain JavaScript, which passes the stream on natively,
 * with the two batches of a turn: its project, history and rows before Claude is asked, its text and code after the end.
 */
import limit from "./limit.js";

const PROJECT = "SELECT code, version FROM projects WHERE id = ?1 AND user_id = 'local'";
const HISTORY = "SELECT role, content FROM chat_messages WHERE project_id = ?1 AND status <> 'streaming' ORDER BY seq DESC LIMIT 200";
const QUESTION = `INSERT INTO chat_messages (id, project_id, user_id, seq, role, content, created_at)
  SELECT ?1, ?2, 'local', (SELECT coalesce(max(seq), 0) + 1 FROM chat_messages WHERE project_id = ?2), 'user', ?3, ?4`;
const ANSWER = `INSERT INTO chat_messages (id, project_id, user_id, seq, role, content, status, created_at)
  SELECT ?1, project_id, user_id, seq + 1, 'assistant', '', 'streaming', created_at FROM chat_messages WHERE id = ?2`;
const SAVE = "UPDATE chat_messages SET content = ?2, status = 'complete' WHERE id = ?1";
const CODE = "UPDATE projects SET code = ?2, version = version + 1, updated_at = ?3 WHERE id = ?1";

/** As long as the text in the upstream's answer. Parsing the answer counts for Hatch only. */
const TEXT = "Water the plants".repeat(370);

export default {
  fetch(request, env, context) {
    return new URL(request.url).pathname === "/api/chat" ? chat(request, env, context) : limit.fetch(request, env);
  },
};

async function chat(request, env, context) {
  const { projectId, message } = await request.clone().json();
  const [question, answer, now] = [crypto.randomUUID(), crypto.randomUUID(), Date.now()];
  const statement = (sql, ...values) => env.DB.prepare(sql).bind(...values);
  await env.DB.batch([
    statement(PROJECT, projectId),
    statement(HISTORY, projectId),
    statement(QUESTION, question, projectId, message, now),
    statement(ANSWER, answer, question),
  ]);
  const { body } = await limit.fetch(request, env);
  const { readable, writable } = new IdentityTransformStream();
  const saved = body.pipeTo(writable).then(() => env.DB.batch([statement(SAVE, answer, TEXT), statement(CODE, projectId, JSON.stringify({ "index.html": TEXT }), Date.now())]));
  context.waitUntil(saved);
  return new Response(readable, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
}
