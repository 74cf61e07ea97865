// Users of Stack Auth: which tokens are accepted, which are refused, and what
// happens while Stack Auth does not answer.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import test, { after } from "node:test";
import { newKey, part, startStackAuth } from "./fakes/stack-auth.js";
import { problem, startWorker } from "./support/harness.js";
import { as, PAGE, people, production, STAFF_DOMAIN } from "./support/people.js";

const [stack, elsewhere] = await Promise.all([startStackAuth(), startStackAuth()]);
after(() => Promise.all([stack.close(), elsewhere.close()]));
const worker = await startWorker({ ...production(stack), UPSTREAM_HEAD_TIMEOUT_MS: "2000" });
const { api, sql, harness } = worker;
const { ok, mint, newKey: newApiKey, rows, findNoSecret, secret } = people(worker, stack);

const MINUTE_S = 60;
const now = () => Math.floor(Date.now() / 1000);
const me = (token) => ok("GET", "/auth/me", undefined, token);
const ask = (token) => api("GET", "/auth/me", undefined, as(token));
const fetches = () => stack.count(stack.jwksPath);

/** A Worker that has no keys yet. */
async function forget() {
  await harness.restart();
  stack.reset();
}

/** Checks that the token is refused: 401 with a reason, and no new user. */
async function refused(token, told = /./) {
  const users = async () => (await rows(["users"])).users;
  const before = await users();
  const response = await ask(secret(token));
  assert.equal(response.headers.get("www-authenticate"), 'Bearer error="invalid_token"');
  const { detail } = await problem(response, 401, "unauthorized");
  assert.match(detail, told);
  assert.deepEqual(await users(), before);
}

test("A token of Stack Auth stands for its user, with name and address", async () => {
  const sub = randomUUID();
  const first = await me(mint({ sub, name: "Ada", email: "ada@example.com", email_verified: true }));
  assert.deepEqual([first.stackId, first.name, first.email, first.credential, first.wallet], [sub, "Ada", "ada@example.com", "stack-auth", null]);
  const renamed = await me(mint({ sub, name: "Ada L. 🐣", email: "ada@example.org", email_verified: true }));
  assert.deepEqual([renamed.id, renamed.name, renamed.email], [first.id, "Ada L. 🐣", "ada@example.org"]);
  // Anyone can claim an address that is not verified.
  const unverified = await me(mint({ sub, name: null, email: "boss@example.org" }));
  assert.deepEqual([unverified.id, unverified.name, unverified.email], [first.id, null, null]);
});

test("20 parallel requests of a new user create one user", async () => {
  const token = mint({ name: "Many" });
  const ids = await Promise.all(Array.from({ length: 20 }, async () => (await me(token)).id));
  assert.equal(new Set(ids).size, 1);
  assert.equal((await sql("SELECT count(*) AS n FROM users WHERE name = 'Many'"))[0].n, 1);
});

test("Staff are exactly the users with a verified address in the domain", async () => {
  const isStaff = async (email, email_verified) => (await me(mint({ email, email_verified }))).isStaff;
  assert.equal(await isStaff(`eve@${STAFF_DOMAIN}`, true), true);
  assert.equal(await isStaff(`eve@${STAFF_DOMAIN.toUpperCase()}`, true), true);
  assert.equal(await isStaff(`eve@${STAFF_DOMAIN}`, false), false);
  const foreign = [`eve@x.${STAFF_DOMAIN}`, `eve@x${STAFF_DOMAIN}`, `eve@${STAFF_DOMAIN}.evil.example`, `eve@${STAFF_DOMAIN}@evil.example`, STAFF_DOMAIN, `@${STAFF_DOMAIN} `, null];
  for (const email of foreign) assert.equal(await isStaff(email, true), false, email);
});

test("A token that is not signed with ES256 is refused", async () => {
  const [key] = stack.keys;
  await refused(stack.mint({}, { header: { alg: "none" }, signing: "none" }), /algorithm/);
  await refused(stack.mint({}, { header: { alg: "None" }, signing: "none" }), /algorithm/);
  await refused(stack.mint({}, { signing: "none" }), /64 bytes/);
  await refused(stack.mint({}, { header: { alg: "HS256" }, signing: "hs256" }), /algorithm/);
  await refused(stack.mint({}, { signing: "hs256" }), /64 bytes/);
  await refused(stack.mint({}, { header: { alg: "RS256" } }), /algorithm/);
  await refused(stack.mint({}, { header: { alg: ["ES256"] } }), /algorithm/);
  await refused(stack.mint({}, { signing: "der" }), /64 bytes/);
  await refused(stack.mint({}, { key: newKey(key.kid) }), /signature is wrong/);
  await refused(stack.mint({}, { key: { ...stack.keys[1], kid: key.kid } }), /signature is wrong/);
  const [header, payload, signature] = stack.mint().split(".");
  await refused(`${header}.${part(stack.claims({ sub: "somebody-else" }))}.${signature}`, /signature is wrong/);
  await refused(`${header}.${payload}.${"A".repeat(86)}`, /64 bytes/);
});

test("A key in the token, or an address of one, is ignored", async () => {
  const key = elsewhere.keys[0];
  const address = `${elsewhere.url}${elsewhere.jwksPath}`;
  for (const brought of [{ jku: address }, { x5u: address }, { jwk: key.jwk }, { x5c: ["MIIB"] }]) {
    await refused(stack.mint({}, { key, header: brought }), /no key/);
    await refused(stack.mint({}, { key, header: { ...brought, kid: stack.keys[0].kid } }), /signature is wrong/);
    await me(mint({}, { header: brought }));
  }
  await refused(stack.mint({}, { header: { kid: address } }), /no key|name its key/);
  assert.equal(elsewhere.requests.length, 0);
});

test("A token for another audience is refused, even with the right key", async () => {
  const { issuer, projectId } = stack;
  const kind = (name, suffix) => ({ iss: issuer.replace("/projects/", `/projects-${name}-users/`), aud: `${projectId}:${suffix}` });
  const other = randomUUID();
  for (const [claims, told] of [
    [{ iss: issuer.replace(projectId, other) }, /issuer/], [{ iss: `${issuer}/` }, /issuer/], [{ iss: issuer.replace("http:", "https:") }, /issuer/],
    [{ iss: issuer.toUpperCase() }, /issuer/], [{ iss: [issuer] }, /iss/], [{ iss: undefined }, /iss/],
    [{ aud: other }, /audience/], [{ aud: [projectId] }, /audience/], [{ aud: [projectId, other] }, /audience/], [{ aud: `${projectId} ` }, /audience/],
    [{ aud: undefined }, /audience/], [{ aud: `${projectId}:anon` }, /audience/], [{ project_id: other }, /project/], [{ branch_id: "preview" }, /branch/],
    [{ ...kind("anonymous", "anon"), is_anonymous: true }, /issuer/], [{ ...kind("restricted", "restricted"), is_restricted: true }, /issuer/],
    [{ is_anonymous: true }, /anonymous/], [{ is_restricted: true }, /restricted/],
    [{ restricted_reason: { type: "email_not_verified" } }, /restricted/], [{ is_anonymous: undefined }, /is_anonymous/],
    [{ role: "anon" }, /signed-in/], [{ sub: "" }, /sub/], [{ sub: undefined }, /sub/], [{ sub: 1 }, /sub/], [{ sub: "x".repeat(129) }, /sub/],
    [{ email_verified: "true" }, /email_verified/], [{ email: ["a@b.c"] }, /email/],
  ]) {
    await refused(stack.mint(claims), told);
  }
});

test("A token is valid from its beginning to its end, with a minute of tolerance", async () => {
  for (const [claims, told] of [
    [{ exp: now() - 2 * MINUTE_S }, /expired/], [{ exp: now() - MINUTE_S }, /expired/], [{ exp: undefined }, /exp/], [{ exp: `${now() + 600}` }, /exp/],
    [{ nbf: now() + 2 * MINUTE_S }, /not valid yet/], [{ nbf: "soon" }, /nbf/], [{ iat: now() + 2 * MINUTE_S }, /future/], [{ iat: undefined }, /iat/],
  ]) {
    await refused(stack.mint(claims), told);
  }
  for (const claims of [{ exp: now() - 30 }, { nbf: now() + 30 }, { iat: now() + 30 }, { nbf: null }]) await me(mint(claims));
});

test("A token that two readers could read differently is refused", async () => {
  const claims = JSON.stringify(stack.claims());
  const header = `{"alg":"ES256","kid":"${stack.keys[0].kid}"`;
  const twice = (json, member) => json.replace(/\}$/, `,${member}}`);
  await refused(stack.mint(twice(claims, '"sub":"somebody-else"')), /twice/);
  await refused(stack.mint(twice(claims, '"exp":9999999999')), /twice/);
  await refused(stack.mint({}, { header: `${header},"alg":"ES256"}` }), /twice/);
  await refused(stack.mint({}, { header: `${header},"alg":"none"}` }), /twice/);
  await refused(stack.mint({}, { header: { crit: ["exp"] } }), /extensions/);
  await refused(stack.mint({}, { header: { typ: "dpop+jwt" } }), /type/);
  for (const kid of [undefined, "", 1, null, "k".repeat(129)]) await refused(stack.mint({}, { header: { kid } }), /name its key/);
  for (const payload of ["", "[]", "null", "no json", `${claims}{}`]) await refused(stack.mint(payload), /compact form/);
  const token = stack.mint();
  for (const bad of [`${token}=`, `${token}.`, `.${token}`, token.replace(/\.[^.]*$/, ""), `${token}.${token}`, "..", "a.b.c", token.replaceAll(".", ",")]) {
    await refused(bad, /./);
  }
});

test("A token of 64 KB is refused before it is read", async () => {
  await refused(stack.mint({ name: "x".repeat(6200) }), /longer than 8 KB/);
  await refused(stack.mint({ name: "x".repeat(48_000) }), /longer than 8 KB/);
  await refused(".".repeat(65_000), /longer than 8 KB/);
  await me(mint({ name: "x".repeat(3000) }));
});

test("A key set is fetched once, and kept", async () => {
  await forget();
  await me(mint());
  await me(mint({}, { key: stack.keys[1] }));
  await me(mint());
  assert.equal(fetches(), 1);
});

test("100 parallel requests with unknown keys cost Stack Auth one request, with and without stored keys", async () => {
  await forget();
  for (let round = 0; round < 2; round++) {
    const storm = Array.from({ length: 100 }, () => ask(secret(stack.mint({}, { key: newKey() }))));
    for (const response of await Promise.all(storm)) assert.match((await problem(response, 401, "unauthorized")).detail, /no key/);
    assert.equal(fetches(), 1);
    await me(mint());
  }
});

test("100 users at once are all accepted by a Worker without keys, for one request to Stack Auth", async () => {
  await forget();
  const token = mint();
  const answers = await Promise.all(Array.from({ length: 100 }, () => ask(token)));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.equal(fetches(), 1);
});

test("A new key is accepted as soon as it is in the set", async () => {
  await forget();
  stack.rotate();
  await me(mint());
  await me(mint({}, { key: stack.keys[1] }));
});

test("With stored keys, users are accepted while Stack Auth is down", async () => {
  await forget();
  const token = mint();
  await me(token);
  stack.setFault({ refuse: true, times: Infinity });
  await me(token);
  await me(mint());
  await refused(stack.mint({}, { key: newKey() }), /no key/);
});

const WITHOUT_KEYS = {
  "is down": { refuse: true },
  "does not answer": { hang: true },
  "stalls in the middle": { stallAfterBytes: 20 },
  "is in trouble": { status: 500 },
  "moves away": { status: 302 },
  "answers with garbage": { garbage: true },
  "answers with more than 64 KB": { hugeBytes: 65 * 1024 },
};
for (const [what, fault] of Object.entries(WITHOUT_KEYS)) {
  test(`Without keys, a token is 503 while Stack Auth ${what}, and other credentials work`, async () => {
    await forget();
    const users = (await rows(["users"])).users;
    stack.setFault({ ...fault, times: Infinity });
    for (let again = 0; again < 2; again++) {
      const response = await ask(mint());
      assert.equal(response.headers.get("retry-after"), "5");
      await problem(response, 503, "stack_auth_unavailable");
    }
    assert.equal(fetches(), 1, "it is left in peace for a while");
    assert.deepEqual((await rows(["users"])).users, users);
    await ok("GET", "/admin/jobs", undefined, production(stack).ADMIN_TOKEN);
    stack.release();
  });
}

test("A set without a key for ES256, or with two of one name, is refused", async () => {
  const { keys } = stack;
  const other = newKey(keys[0].kid);
  for (const bad of [[], [keys[0], other], [{ jwk: { ...keys[0].jwk, alg: "ES384" } }], [{ jwk: { ...keys[0].jwk, crv: "secp256k1" } }]]) {
    await forget();
    stack.keys = bad;
    await problem(await ask(mint({}, { key: keys[0] })), 503, "stack_auth_unavailable");
  }
  stack.keys = keys;
});

test("A user's keys work while Stack Auth is down", async () => {
  await forget();
  const { key } = await newApiKey(mint());
  await forget();
  stack.setFault({ refuse: true, times: Infinity });
  assert.equal((await me(key)).credential, "key");
  assert.equal(stack.requests.length, 0);
});

// --- Signing in, for pages ---------------------------------------------------

/** Where the Worker is now: a restart gives it another port. Stack Auth is told, as an operator does. */
async function here() {
  const { origin } = new URL((await api("GET", "/health")).url);
  if (!stack.trusted.includes(origin)) stack.trusted.push(origin, PAGE);
  return origin;
}
const code = async (email) => (await here(), ok("POST", "/auth/stack/codes", { email }).then(({ nonce }) => ({ nonce, mail: stack.mails.at(-1) })));
const signIn = (body) => api("POST", "/auth/stack/sign-in", body);

test("Who may sign in how is told, and a project is asked for it once", async () => {
  await forget();
  const ways = { email: true, providers: ["github"], authorizeUrl: `${stack.url}/api/v1/auth/oauth/authorize/`, clientId: stack.projectId, clientKey: "__stack_public_client__" };
  for (let again = 0; again < 3; again++) assert.deepEqual(await ok("GET", "/auth/methods"), { wallet: true, stackAuth: ways });
  assert.equal(stack.count("/api/v1/projects/current"), 1);
});

test("The code of a mail is a session, once; the same person has the same account as by a token", async () => {
  await forget();
  const { nonce, mail } = await code("grace@example.com");
  assert.deepEqual([mail.email, new URL(mail.link).origin + new URL(mail.link).pathname], ["grace@example.com", `${await here()}/`]);
  await problem(await signIn({ code: "000000", nonce }), 401, "unauthorized");
  const session = await (await signIn({ code: mail.code.toLowerCase(), nonce })).json();
  secret(session.token);
  const known = await me(session.token);
  assert.deepEqual([known.credential, known.email, known.id], ["session", "grace@example.com", session.userId]);
  assert.equal((await me(mint({ sub: known.stackId, email: "grace@example.com", email_verified: true, name: "grace" }))).id, known.id);
  const { detail } = await problem(await signIn({ code: mail.code, nonce }), 401, "unauthorized");
  assert.match(detail, /ask for a new one/);
  await ok("POST", "/auth/logout", undefined, session.token);
  await problem(await ask(session.token), 401, "unauthorized");
});

test("The link of a mail has a whole code, and leads to the page that asked", async () => {
  await here();
  const asked = async (page) => assert.equal((await api("POST", "/auth/stack/codes", { email: "grace@example.com" }, { origin: page })).status, 200);
  await asked(PAGE);
  const link = new URL(stack.mails.at(-1).link);
  assert.equal(link.origin, PAGE);
  const { token } = await (await signIn({ code: link.searchParams.get("code") })).json();
  assert.equal((await me(secret(token))).email, "grace@example.com");
  // A page that may not ask us has no mail sent.
  const mails = stack.mails.length;
  assert.equal((await api("POST", "/auth/stack/codes", { email: "grace@example.com" }, { origin: "https://evil.example" })).status, 403);
  assert.equal(stack.mails.length, mails);
});

test("Of mails with codes a recipient and an address get five a minute", async () => {
  stack.reset();
  const limited = await startWorker({ ...production(stack), RATE_LIMITS: "on" });
  const asked = (email, from) => limited.api("POST", "/auth/stack/codes", { email }, { origin: PAGE, "cf-connecting-ip": from });
  const statuses = async (asks) => (await Promise.all(asks)).map(({ status }) => status).sort();
  const mails = stack.mails.length;
  assert.deepEqual(await statuses(Array.from({ length: 7 }, (_, n) => asked("Victim@example.com", `192.0.2.${n}`))), [200, 200, 200, 200, 200, 429, 429]);
  assert.deepEqual(await statuses(Array.from({ length: 7 }, (_, n) => asked(`victim${n}@example.com`, "192.0.2.99"))), [200, 200, 200, 200, 200, 429, 429]);
  const { detail } = await problem(await asked("victim@example.com", "192.0.2.50"), 429, "rate_limited");
  assert.match(detail, /More than 5 mails in 60 seconds/);
  assert.equal(stack.mails.length, mails + 10);
});

test("Who has a second factor is told to sign in otherwise, and gets no session", async () => {
  stack.hasSecondFactor.add("safe@example.com");
  const { nonce, mail } = await code("safe@example.com");
  const { sessions } = await rows(["sessions"]);
  await problem(await signIn({ code: mail.code, nonce }), 400, "second_factor_required");
  assert.deepEqual((await rows(["sessions"])).sessions, sessions);
});

test("A provider's code is good with what it was begun with alone", async () => {
  const verifier = "v".repeat(43), redirectUrl = `${await here()}/`;
  const begun = async () => {
    const query = new URLSearchParams({
      client_id: stack.projectId, client_secret: "__stack_public_client__", redirect_uri: redirectUrl, scope: "legacy", state: "s", grant_type: "authorization_code",
      code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256", response_type: "code", type: "authenticate", error_redirect_url: redirectUrl,
    });
    const page = await (await fetch(`${stack.url}/api/v1/auth/oauth/authorize/github?${query}`)).text();
    return page.match(/code=([\w-]+)/)[1];
  };
  const exchange = async (fields) => api("POST", "/auth/stack/exchange", { code: await begun(), codeVerifier: verifier, redirectUrl, ...fields });
  await problem(await exchange({ codeVerifier: "w".repeat(43) }), 401, "unauthorized");
  await problem(await exchange({ redirectUrl: "https://evil.example/" }), 401, "unauthorized");
  await problem(await exchange({ code: randomUUID() }), 401, "unauthorized");
  const { token } = await (await exchange({})).json();
  assert.equal((await me(secret(token))).email, "ada@github.example");
});

test("While Stack Auth is away nobody signs in by it, which is said, and no session is left", async () => {
  await forget();
  const kept = [await code("ada@example.com"), await code("ada@example.com"), await code("ada@example.com")];
  const { sessions } = await rows(["sessions"]);
  for (const [fault, status, told] of [[{ refuse: true }, 502, "upstream_unreachable"], [{ status: 500 }, 503, "upstream_busy"], [{ garbage: true }, 502, "upstream_unreadable"]]) {
    stack.setFault({ ...fault, times: Infinity });
    await problem(await api("GET", "/auth/methods"), status, told);
    await problem(await api("POST", "/auth/stack/codes", { email: "ada@example.com" }), status, told);
    const { nonce, mail } = kept.pop();
    await problem(await signIn({ code: mail.code, nonce }), status, told);
  }
  stack.reset();
  assert.deepEqual((await rows(["sessions"])).sessions, sessions);
});

test("A token that Stack Auth gives is judged like any other", async () => {
  stack.reset();
  const { nonce, mail } = await code("mallory@example.com");
  const { keys } = stack;
  await forget();
  await me(mint());
  // Signed by a key that nobody finds in its set.
  stack.rotate();
  stack.setFault({ path: stack.jwksPath, times: Infinity, status: 500 });
  await problem(await signIn({ code: mail.code, nonce }), 401, "unauthorized");
  stack.reset();
  stack.keys = keys;
});

test("No secret of these tests is in a row or in the log", findNoSecret);
