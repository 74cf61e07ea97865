/**
 * The limit: the best that workerd itself can do. Plain JavaScript without a router, a check or a parser, which passes
 * bytes on and stores nothing of a chat.
 */
const JSON_TYPE = { headers: { "content-type": "application/json" } };
const CREATED = { status: 201, ...JSON_TYPE };

const LIST = `SELECT json_group_array(json_object(
    'id', id, 'userId', user_id, 'name', name, 'description', description, 'code', code, 'status', status,
    'deploymentUrl', deployment_url, 'version', version, 'createdAt', created_at, 'updatedAt', updated_at)) AS list
  FROM (SELECT * FROM projects WHERE user_id = 'local' ORDER BY created_at DESC, id DESC LIMIT 20)`;

const INSERT = `INSERT INTO projects (id, user_id, name, description, created_at, updated_at)
  VALUES (?1, 'local', ?2, ?3, ?4, ?4)`;

export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/") return new Response('{"status":"ok","service":"hatch-api"}', JSON_TYPE);
    if (pathname === "/api/chat") return chat(request, env);
    if (pathname === "/heartbeat") return beat(request, env);
    return request.method === "POST" ? create(request, env) : list(env);
  },
};

async function list(env) {
  return new Response(await env.DB.prepare(LIST).first("list"), JSON_TYPE);
}

async function create(request, env) {
  const { name, description = null } = await request.json();
  const id = crypto.randomUUID();
  const now = Date.now();
  await env.DB.prepare(INSERT).bind(id, name, description, now).run();
  const project = { id, userId: "local", name, description, code: null, status: "draft", deploymentUrl: null, version: 0, createdAt: now, updatedAt: now };
  return new Response(JSON.stringify(project), CREATED);
}

const BEAT = `INSERT INTO worker_windows (wallet, start_at, end_at) VALUES (?1, ?2, ?2)
  ON CONFLICT (wallet) DO UPDATE SET end_at = excluded.end_at`;

async function beat(request, env) {
  const { walletAddress, timestamp } = await request.json();
  await env.DB.prepare(BEAT).bind(walletAddress, timestamp).run();
  return new Response('{"success":true}', JSON_TYPE);
}

async function chat(request, env) {
  const { message } = await request.json();
  return fetch(`${env.CLAUDE_BASE_URL}/v1/messages`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": env.CLAUDE_API_KEY, "anthropic-version": "2023-06-01" },
    body: JSON.stringify({ model: "claude-sonnet-5-5", max_tokens: 16_000, stream: true, messages: [{ role: "user", content: message }] }),
  });
}
