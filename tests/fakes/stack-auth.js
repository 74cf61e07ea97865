// A strict fake of Stack Auth: the key set of one project, and the tokens that its API signs (/work/shared/upstreams.md
// 1.10). It returns what `startFaultServer` returns, and takes its faults.
//
//   const stack = await startStackAuth();
//   const token = stack.mint({ sub: 'ada', email: 'ada@example.com' });
//   assert.equal(stack.count(stack.jwksPath), 1);

import { createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { extend, json, startFaultServer } from './fault-server.js';

/** A part of a token: a string stands as it is, so that a test can write JSON that no object gives. */
export const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A key as Stack Auth has them, `{kid, publicKey, privateKey, jwk}`. */
export function newKey(kid = randomUUID()) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  return { kid, publicKey, privateKey, jwk: { alg: 'ES256', crv, kid, kty, x, y } };
}

/**
 * Stack Auth with one project, whose key set has a present key and a legacy one, as the real one's. It refuses every path
 * but the key set's and that of connected accounts with 404, its query parameters (they would add the keys of anonymous and
 * restricted users) with 400, and every method but theirs with 405.
 *
 * `connected` are the users who have connected their GitHub accounts, and the token of each, for a test to fill; `secretKey`
 * is what its server API asks for.
 *
 * `keys` is what the set holds, the present one first, for a test to change; `rotate()` makes a new present key.
 * `claims(overrides)` are those of a regular user, `mint(claims, options)` a token.
 */
export async function startStackAuth({ projectId = randomUUID(), secretKey = `ssk_${randomUUID()}` } = {}) {
  const jwksPath = `/api/v1/projects/${projectId}/.well-known/jwks.json`;
  const error = (status, code, message, headers) => json(status, { code, error: message }, headers);
  let keys = [newKey(), newKey()];
  const connected = {};

  /** Whose account a path is about. */
  const accountOf = (path) => path.match(/^\/api\/v1\/connected-accounts\/([^/]+)\/github\/access-token$/)?.[1];

  function refusalOfAccount({ method, headers, body }) {
    if (method !== 'POST') return error(405, 'METHOD_NOT_ALLOWED', 'Method not allowed');
    if (headers['x-stack-access-type'] !== 'server') return error(400, 'ACCESS_TYPE_REQUIRED', 'The x-stack-access-type header must be server');
    if (headers['x-stack-project-id'] !== projectId || headers['x-stack-secret-server-key'] !== secretKey) {
      return error(401, 'INVALID_SECRET_SERVER_KEY', 'The secret server key is not valid for this project');
    }
    if (Object.keys(body ?? {}).join() !== 'scope' || body.scope !== 'repo') return error(400, 'SCHEMA_ERROR', 'This fake knows one scope');
    return undefined;
  }

  const server = await startFaultServer({
    refusal(request) {
      const { method, path, query } = request;
      if (accountOf(path)) return refusalOfAccount(request);
      if (path !== jwksPath) return error(404, 'NOT_FOUND', 'This path does not exist');
      if (method !== 'GET') return error(405, 'METHOD_NOT_ALLOWED', 'Method not allowed');
      if (query.size > 0) return error(400, 'SCHEMA_ERROR', 'This fake knows no parameters');
    },
    answer: ({ path }) => (accountOf(path) ? tokenOf(decodeURIComponent(accountOf(path))) : keySet()),
    failure: (fault) => error(fault.status, fault.type ?? 'INTERNAL_ERROR', fault.message ?? 'Something went wrong', fault.headers),
    garbage: () => Buffer.from('{"keys":[{"kty":"EC","crv":"P-2'),
  });

  const keySet = () => json(200, { keys: keys.map(({ jwk }) => jwk) }, { 'cache-control': 'public, max-age=3600' });
  const tokenOf = (user) => (connected[user] ? json(200, { access_token: connected[user] }) : error(400, 'OAUTH_CONNECTION_NOT_CONNECTED_TO_USER', "The OAuth connection is not connected to any user"));

  const issuer = `${server.url}/api/v1/projects/${projectId}`;

  function claims(overrides = {}) {
    const now = Math.floor(Date.now() / 1000);
    return {
      sub: randomUUID(), iss: issuer, aud: projectId, iat: now, exp: now + 600, project_id: projectId, branch_id: 'main',
      refresh_token_id: randomUUID(), role: 'authenticated', name: null, email: null, email_verified: false,
      selected_team_id: null, is_anonymous: false, is_restricted: false, restricted_reason: null, requires_totp_mfa: false,
      signed_up_at: now - 3600, ...overrides,
    };
  }

  /**
   * A token of a regular user, but for `overrides` of its claims (or the payload's JSON as text), and:
   *
   * - `key`     the key that signs (the present one)
   * - `header`  members of the header over `{alg, kid, typ}`, or its JSON as text
   * - `signing` how: `es256` (r and s), `der`, `none`, or `hs256` with the public key's PEM as the secret
   */
  function mint(overrides = {}, { key = keys[0], header = {}, signing = 'es256' } = {}) {
    const head = typeof header === 'string' ? header : { alg: 'ES256', kid: key.kid, typ: 'JWT', ...header };
    const payload = typeof overrides === 'string' ? overrides : claims(overrides);
    const signed = `${part(head)}.${part(payload)}`;
    return `${signed}.${SIGNING[signing](Buffer.from(signed), key).toString('base64url')}`;
  }

  return extend(server, {
    projectId,
    secretKey,
    connected,
    issuer,
    jwksPath,
    claims,
    mint,
    get keys() {
      return keys;
    },
    set keys(next) {
      keys = next;
    },
    rotate() {
      keys = [newKey(), keys[0]];
    },
  });
}

const SIGNING = {
  es256: (signed, { privateKey }) => sign('sha256', signed, { key: privateKey, dsaEncoding: 'ieee-p1363' }),
  der: (signed, { privateKey }) => sign('sha256', signed, { key: privateKey, dsaEncoding: 'der' }),
  none: () => Buffer.alloc(0),
  hs256: (signed, { publicKey }) =>
    createHmac('sha256', publicKey.export({ type: 'spki', format: 'pem' })).update(signed).digest(),
};
