// A strict fake of Stack Auth: the key set of one project, the tokens that its API signs
// and its client API, by which people sign in (stack-auth/stack-auth, sdks/spec, and @stackframe/stack-shared
// 2.8). It returns what `startFaultServer` returns, and takes its faults.
//
//   const stack = await startStackAuth();
//   const token = stack.mint({ sub: 'ada', email: 'ada@example.com' });
//   assert.equal(stack.count(stack.jwksPath), 1);

import { createHash, createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
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
 * but the key set's, the client API's and that of connected accounts with 404, the key set's query parameters (they would
 * add the keys of anonymous and restricted users) with 400, and every other method with 405.
 *
 * The client API wants the headers and the fields that the real one wants, and no others. `clientKey` is the project's,
 * where it asks for one; `trusted` are the origins that mails and providers may lead to; `mails` are those that were
 * sent, `{email, code, link}`. A provider's page says yes or no by links. `hasSecondFactor` is who has one.
 *
 * `connected` maps users who have connected their GitHub accounts to their tokens, for a test to fill; `secretKey` is what
 * its server API asks for.
 *
 * `keys` is what the set holds, the present one first, for a test to change; `rotate()` makes a new present key.
 * `claims(overrides)` are those of a regular user, `mint(claims, options)` a token.
 */
export async function startStackAuth({ projectId = randomUUID(), secretKey = `ssk_${randomUUID()}`, clientKey, trusted = [], email = true, providers = ['github'] } = {}) {
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

  const known = (status, code, details) => json(status, { code, error: `A sentence about ${code}`, ...(details && { details }) }, { 'x-stack-known-error': code });
  const mails = [], codes = new Map(), grants = new Map(), hasSecondFactor = new Set();
  const isTrusted = (url) => URL.canParse(url) && trusted.includes(new URL(url).origin);
  const tokens = (claims, more) => json(200, { access_token: mint(claims), refresh_token: randomUUID(), user_id: claims.sub, is_new_user: false, ...more });
  /** The same person each time, by their address. */
  const person = (email) => ({ sub: createHash('sha256').update(email).digest('hex').slice(0, 36), email, email_verified: true, name: email.split('@')[0] });
  const exactly = (object, names) => object && Object.keys(object).sort().join() === [...names].sort().join() && Object.values(object).every((value) => typeof value === 'string');

  const client = {
    'GET /projects/current': () => json(200, { id: projectId, display_name: 'Hatch', config: { sign_up_enabled: true, credential_enabled: false, magic_link_enabled: email, passkey_enabled: false, oauth_providers: providers.map((id) => ({ id })), client_team_creation_enabled: false } }),
    'POST /auth/otp/send-sign-in-code': ({ body }) => {
      if (!exactly(body, ['email', 'callback_url'])) return known(400, 'SCHEMA_ERROR');
      if (!isTrusted(body.callback_url)) return known(400, 'REDIRECT_URL_NOT_WHITELISTED');
      const code = randomUUID().replaceAll('-', '');
      const link = new URL(body.callback_url);
      link.searchParams.set('code', code);
      codes.set(code, body.email);
      mails.push({ email: body.email, code: code.slice(0, 6).toUpperCase(), link: link.href });
      return json(200, { nonce: code.slice(6) });
    },
    'POST /auth/otp/sign-in': ({ body }) => {
      if (!exactly(body, ['code'])) return known(400, 'SCHEMA_ERROR');
      const code = body.code.toLowerCase(), address = codes.get(code);
      if (address === undefined) return known(404, 'VERIFICATION_CODE_NOT_FOUND');
      if (address === '') return known(409, 'VERIFICATION_CODE_ALREADY_USED');
      if (hasSecondFactor.has(address)) return known(400, 'MULTI_FACTOR_AUTHENTICATION_REQUIRED', { attempt_code: randomUUID() });
      codes.set(code, '');
      return tokens(person(address), {});
    },
    'POST /auth/oauth/token': ({ raw, headers }) => {
      const form = new URLSearchParams(raw.toString()), grant = grants.get(form.get('code'));
      if (headers['content-type'] !== 'application/x-www-form-urlencoded') return error(400, 'invalid_request', 'Not a form');
      if (form.get('client_id') !== projectId || form.get('client_secret') !== (clientKey ?? '__stack_public_client__')) return known(400, 'INVALID_OAUTH_CLIENT_ID_OR_SECRET');
      if (form.get('grant_type') !== 'authorization_code') return json(400, { error: 'unsupported_grant_type' });
      grants.delete(form.get('code'));
      const challenge = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
      if (!grant || grant.challenge !== challenge || grant.redirect !== form.get('redirect_uri')) return json(400, { error: 'invalid_grant', error_description: 'The code is not good' });
      return tokens(person(grant.email), { token_type: 'bearer', expires_in: 600 });
    },
  };

  /** The page of a provider, to which a browser comes by itself. */
  function authorize(provider, query) {
    const wanted = { client_id: projectId, client_secret: clientKey ?? '__stack_public_client__', scope: 'legacy', grant_type: 'authorization_code', code_challenge_method: 'S256', response_type: 'code', type: 'authenticate' };
    const wrong = Object.keys(wanted).find((name) => query.get(name) !== wanted[name]);
    if (wrong || !providers.includes(provider)) return known(400, wrong ? 'SCHEMA_ERROR' : 'OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED');
    const [redirect, failure, state, challenge] = ['redirect_uri', 'error_redirect_url', 'state', 'code_challenge'].map((name) => query.get(name));
    if (!isTrusted(redirect) || !isTrusted(failure)) return known(400, 'REDIRECT_URL_NOT_WHITELISTED');
    if (!state || challenge?.length !== 43) return known(400, 'SCHEMA_ERROR');
    const code = randomUUID();
    grants.set(code, { email: `ada@${provider}.example`, challenge, redirect });
    const yes = `${redirect}?${new URLSearchParams({ code, state })}`;
    const no = `${failure}?${new URLSearchParams({ errorCode: 'OAUTH_PROVIDER_ACCESS_DENIED', message: 'Call us at once', details: '{}' })}`;
    const link = (url, words) => `<p><a href="${url.replaceAll('&', '&amp;')}">${words}</a></p>`;
    return { status: 200, headers: { 'content-type': 'text/html' }, pieces: [Buffer.from(`<!doctype html><title>${provider}</title><h1>${provider}</h1>${link(yes, 'Allow')}${link(no, 'Deny')}`)] };
  }

  const isOfClient = ({ method, path }) => path.startsWith('/api/v1/') && Object.hasOwn(client, `${method} ${path.slice(7)}`);
  const providerOf = ({ method, path }) => (method === 'GET' ? path.match(/^\/api\/v1\/auth\/oauth\/authorize\/([a-z]+)$/)?.[1] : undefined);

  function refusesClient({ headers }) {
    if (headers['x-stack-access-type'] !== 'client') return known(400, 'ACCESS_TYPE_REQUIRED');
    if (headers['x-stack-project-id'] !== projectId) return known(400, 'PROJECT_NOT_FOUND');
    if (headers['x-stack-publishable-client-key'] !== clientKey) return known(401, 'INVALID_PUBLISHABLE_CLIENT_KEY');
    return undefined;
  }

  const keySet = () => json(200, { keys: keys.map(({ jwk }) => jwk) }, { 'cache-control': 'public, max-age=3600' });
  const server = await startFaultServer({
    refusal(request) {
      const { method, path, query } = request;
      if (isOfClient(request)) return refusesClient(request);
      if (accountOf(path)) return refusalOfAccount(request);
      if (providerOf(request)) return undefined;
      if (path !== jwksPath) return error(404, 'NOT_FOUND', 'This path does not exist');
      if (method !== 'GET') return error(405, 'METHOD_NOT_ALLOWED', 'Method not allowed');
      if (query.size > 0) return error(400, 'SCHEMA_ERROR', 'This fake knows no parameters');
    },
    answer: (request) => {
      if (isOfClient(request)) return client[`${request.method} ${request.path.slice(7)}`](request);
      if (accountOf(request.path)) return tokenOf(decodeURIComponent(accountOf(request.path)));
      const provider = providerOf(request);
      return provider ? authorize(provider, request.query) : keySet();
    },
    failure: (fault) => error(fault.status, fault.type ?? 'INTERNAL_ERROR', fault.message ?? 'Something went wrong', fault.headers),
    garbage: () => Buffer.from('{"keys":[{"kty":"EC","crv":"P-2'),
  });

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
    mails,
    trusted,
    hasSecondFactor,
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
