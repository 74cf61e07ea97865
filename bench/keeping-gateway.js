/**
 * The *keeping* limit of a gateway: the least cost that we know of a call whose key is looked up and that is recorded. Plain JavaScript that passes
 * the answer on natively, with the statements of Hatch's two round trips: the key and its rules before the upstream is asked, the call and its
 * counters after the end.
 */
import limit from "./pass-through.js";

const GRANT = `SELECT json_object('id', k.id, 'userId', k.user_id, 'scopes', json(k.scopes), 'gateway', k.gateway, 'email', u.email,
  'lastUsedAt', k.last_used_at, 'expiresAt', k.expires_at, 'endedAt', k.revoked_at) AS json
  FROM api_keys k LEFT JOIN users u ON u.id = k.user_id WHERE k.hash = ?1 AND (u.id IS NOT NULL OR k.user_id = ?2)`;
const RULES = `SELECT json_object('policy', (SELECT json(policy) FROM guardrails WHERE user_id = owner.user_id),
  'keys', json((SELECT json_group_array(json_object('target', cloud, 'sealed', sealed)) FROM cloud_credentials WHERE user_id = owner.user_id))) AS json
  FROM (SELECT user_id FROM api_keys WHERE hash = ?1) owner`;
const CALL = `INSERT INTO model_calls (id, user_id, key_id, created_at, day, model, status, attempts, cache, input_tokens, cache_read_tokens,
  cache_write_tokens, output_tokens, reasoning_tokens, cost_micro_usd, is_estimated, first_token_ms, total_ms)
  VALUES (?1, ?2, ?3, ?4, ?5, 'bench/m', 200, 1, 'miss', 9, 0, 0, 394, 0, 28, 0, 1, 2)`;
const COUNT = `INSERT INTO model_metrics (provider, model, outcome, calls, attempts, first_ms, total_ms, input_tokens, output_tokens, cost_micro_usd,
  first_buckets, total_buckets, attempt_buckets)
  VALUES ('bench', 'bench/m', 'ok', 1, 1, 1, 2, 9, 394, 28, '[1]', '[1]', '[1]')
  ON CONFLICT (model, outcome) DO UPDATE SET calls = calls + 1, attempts = attempts + 1, first_ms = first_ms + 1, total_ms = total_ms + 2,
    input_tokens = input_tokens + 9, output_tokens = output_tokens + 394, cost_micro_usd = cost_micro_usd + 28,
    first_buckets = json_set(first_buckets, '$[0]', json_extract(first_buckets, '$[0]') + 1)`;

export default {
  async fetch(request, env, context) {
    if (request.method === "GET") return new Response();
    const started = Date.now();
    const statement = (sql, ...values) => env.DB.prepare(sql).bind(...values);
    const key = request.headers.get("x-api-key") ?? request.headers.get("authorization").slice("Bearer ".length);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key))).toHex();
    const [{ results: [grant] }] = await env.DB.batch([statement(GRANT, hash, "bench"), statement(RULES, hash)]);
    const { id, userId } = JSON.parse(grant.json);
    const response = await limit.fetch(request, env);
    const { readable, writable } = new IdentityTransformStream();
    const day = new Date(started).toISOString().slice(0, 10);
    const record = () => env.DB.batch([statement(CALL, crypto.randomUUID(), userId, id, started, day), statement(COUNT)]);
    context.waitUntil(response.body.pipeTo(writable).then(record));
    return new Response(readable, response);
  },
};
