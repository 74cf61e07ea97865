// GET /api/skillsmp…, POST /api/skillsmp/:id/install

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { startAitmpl, startRawGithub, startSkillsmp } from "./fakes/skills.js";
import { startWorker } from "./support/harness.js";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const ALWAYS = { times: Infinity, path: "/" };
const TYPES = ["agents", "commands", "hooks", "mcps", "settings", "skills"];
const AUDITOR = "aitmpl:agent:security/security-auditor";
const FORMS = "skillsmp:anthropics-skills-pdf-forms-skill-md";

const [aitmpl, skillsmp, raw] = await Promise.all([startAitmpl(), startSkillsmp({ anonymousPerDay: 1000 }), startRawGithub()]);
const fakes = [aitmpl, skillsmp, raw];
const { api, sql } = await startWorker({
  AITMPL_BASE_URL: aitmpl.url,
  SKILLSMP_BASE_URL: skillsmp.url,
  RAW_GITHUB_BASE_URL: raw.url,
  UPSTREAM_HEAD_TIMEOUT_MS: "2000",
});
after(() => Promise.all(fakes.map((fake) => fake.close())));
beforeEach(empty);

async function empty() {
  for (const fake of fakes) fake.reset();
  await sql("DELETE FROM skills");
  await sql("DELETE FROM skill_fetches");
}

/** Makes the stored list older. */
const age = (ms) => sql(`UPDATE skill_fetches SET fetched_at = fetched_at - ${ms}, next_at = next_at - ${ms}`);

/** Waits until no feed is due or being fetched: a request holds a feed for half a minute, a response or a failure for longer. */
async function refreshed() {
  const waiting = () => sql("SELECT count(*) AS n FROM skill_fetches WHERE next_at <= ?1", Date.now() + 30_000);
  while ((await waiting())[0].n > 0);
}

async function call(method, path, body) {
  const response = await api(method, path, body);
  const { status, headers } = response;
  const text = await response.text();
  return { status, headers, text, body: JSON.parse(text), cache: headers.get("x-cache") };
}
const list = (query = "") => call("GET", `/api/skillsmp${query}`);
const show = (id) => call("GET", `/api/skillsmp/${encodeURIComponent(id)}`);
const install = (id, body) => call("POST", `/api/skillsmp/${encodeURIComponent(id)}/install`, body);
const names = ({ body }) => body.skills.map(({ name }) => name);
const asked = () => aitmpl.requests.length + skillsmp.requests.length;

test("the first list asks each source once, and the next one none", async () => {
  const first = await list("?limit=100");
  assert.deepEqual([first.status, first.cache], [200, "MISS"]);
  assert.deepEqual(aitmpl.requests.map(({ path }) => path).sort(), TYPES.map((types) => `/components/${types}.json`));
  assert.deepEqual(skillsmp.requests.map(({ query }) => query.get("q")), ["claude"]);
  const { skills, total, ...rest } = first.body;
  assert.deepEqual(rest, { page: 1, limit: 100, has_more: false, next_page: null, source: "aitmpl" });
  assert.ok(total > 30 && skills.length === total);
  assert.equal(first.headers.get("cache-control"), "public, max-age=30, stale-while-revalidate=300, stale-if-error=86400");
  const second = await list("?limit=100");
  assert.deepEqual([second.cache, second.text], ["HIT", first.text]);
  assert.equal(asked(), 7);
});

test("many first requests at once ask each source once, and all get the whole list", async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => list("?limit=100")));
  assert.equal(asked(), 7);
  assert.ok(answers[0].body.total > 30);
  assert.equal(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1);
});

for (const [name, fault] of Object.entries({
  "answers 500": { status: 500 },
  "answers 429": { status: 429 },
  "answers with a page": { status: 200, html: true },
  "answers with half of it": { cutAfterBytes: 5 },
  "answers with something else": { garbage: true },
  "refuses the connection": { refuse: true },
  "never answers": { hang: true },
  "stops in the middle": { stallAfterBytes: 5 },
})) {
  test(`a source that ${name} does not hide the other, and is left alone for a while`, async () => {
    for (const [dead, alive] of [[aitmpl, "skillsmp"], [skillsmp, "aitmpl"]]) {
      await empty();
      dead.setFault({ ...fault, ...ALWAYS });
      const first = await list("?q=design");
      dead.release();
      assert.deepEqual([first.status, first.cache, first.body.source], [200, "MISS", alive]);
      const before = dead.requests.length;
      const second = await list("?q=design");
      assert.deepEqual([second.status, second.cache, second.body.source], [200, "STALE", alive]);
      assert.equal(dead.requests.length, before);
    }
  });
}

test("a list that is too long costs only itself", async () => {
  aitmpl.setFault({ hugeBytes: 5_000_000, times: Infinity, path: "/components/agents.json" });
  assert.equal((await list("?type=agent")).body.total, 0);
  assert.ok((await list("?type=skill")).body.total > 0);
});

test("without a source and without stored skills every response is 502, at once until the next try", async () => {
  for (const fake of [aitmpl, skillsmp]) fake.setFault({ status: 503, ...ALWAYS });
  const first = await list();
  assert.deepEqual([first.status, first.body.code], [502, "skills_unavailable"]);
  const before = asked();
  for (const again of [await list(), await show(AUDITOR), await call("GET", "/api/skillsmp/categories"), await install(AUDITOR)]) {
    assert.deepEqual([again.status, again.body.code], [502, "skills_unavailable"]);
    assert.ok(Number(again.headers.get("retry-after")) > 0);
    assert.equal(again.headers.get("cache-control"), "no-store");
  }
  assert.equal(asked(), before);
  for (const fake of fakes) fake.reset();
  await age(MINUTE_MS + 1);
  assert.equal((await list()).status, 200);
});

test("a list that is a day old is served at once and refreshed in the background", async () => {
  const old = await list("?limit=100");
  await age(DAY_MS);
  aitmpl.components.agents.push({ name: "brand-new", path: "new/brand-new.md" });
  const gone = aitmpl.components.hooks.shift().name;
  const stale = await list("?limit=100");
  assert.deepEqual([stale.cache, stale.text], ["STALE", old.text]);
  await refreshed();
  assert.equal(asked(), 14);
  const fresh = await list("?limit=100");
  assert.equal(fresh.cache, "HIT");
  assert.ok(names(fresh).includes("brand-new") && !names(fresh).includes(gone));
});

test("a refresh during many requests asks each source once", async () => {
  await list();
  await age(DAY_MS);
  const answers = await Promise.all(Array.from({ length: 20 }, () => list()));
  assert.ok(answers.every(({ status, cache }) => status === 200 && cache !== "MISS"));
  await refreshed();
  assert.equal(asked(), 14);
});

test("the stored list survives sources that are dead or suddenly empty", async () => {
  const kept = await list();
  await age(3 * DAY_MS);
  skillsmp.setFault({ status: 500, ...ALWAYS });
  for (const items of Object.values(aitmpl.components)) items.length = 0;
  assert.deepEqual([(await list()).text, (await list()).cache], [kept.text, "STALE"]);
  await refreshed();
  assert.deepEqual([(await list()).text, (await list()).cache], [kept.text, "STALE"]);
  assert.equal(asked(), 14);
});

test("a search is sent to the source once a day, whatever its case and blanks", async () => {
  await list();
  skillsmp.reset();
  const first = await list("?q=PDF%20%20Forms");
  assert.deepEqual([first.cache, names(first)], ["MISS", ["pdf-forms"]]);
  assert.deepEqual([(await list("?q=pdf+forms")).cache, skillsmp.requests.length], ["HIT", 1]);
  assert.deepEqual([...skillsmp.requests[0].query], [["q", "pdf forms"], ["page", "1"], ["limit", "100"], ["sortBy", "stars"]]);
  assert.equal(skillsmp.requests[0].headers.authorization, undefined);
});

test("searches at the source stop before the day's quota of 50 is used up", async () => {
  await list();
  for (let i = 0; i < 45; i += 1) assert.equal((await list(`?q=word${i}`)).status, 200);
  assert.equal(skillsmp.requests.length, 40);
  assert.equal((await list("?q=auditor")).body.total, 1);
});

test("a used-up quota stops searches at the source, not ours", async () => {
  await list();
  skillsmp.setFault({ status: 429, headers: { "retry-after": "3600" }, ...ALWAYS });
  for (const word of ["auditor", "web", "sql"]) assert.equal((await list(`?q=${word}`)).status, 200);
  assert.equal(skillsmp.requests.length, 2);
  await age(30 * MINUTE_MS);
  await list("?q=auditor");
  assert.equal(skillsmp.requests.length, 2);
});

test("lists are filtered by type, category and words, and come in pages", async () => {
  const first = await list("?type=agent&limit=3");
  assert.ok(first.body.has_more && first.body.skills.length === 3 && first.body.skills.every(({ type }) => type === "agent"));
  const next = await list("?type=agent&limit=3&page=2");
  assert.equal(new Set([...names(first), ...names(next)]).size, 6);
  const last = await list(`?type=agent&limit=${first.body.total}`);
  assert.deepEqual([last.body.has_more, last.body.skills.length], [false, first.body.total]);
  assert.deepEqual((await list("?page=9999")).body.skills, []);
  const security = await call("GET", "/api/skillsmp/category/SECURITY");
  assert.deepEqual(names(security), ["secret-scanner", "security-auditor"]);
  assert.deepEqual((await list("?category=security")).body, security.body);
  assert.deepEqual(names(await list("?q=AUDITOR%20security")), ["security-auditor"]);
  const { body } = await call("GET", "/api/skillsmp/category/nothing%20here");
  assert.deepEqual(body, { skills: [], total: 0, page: 1, limit: 20, has_more: false, next_page: null, source: "" });
});

test("skills with more stars come first, then by name", async () => {
  await list("?q=design");
  const { skills } = (await list("?q=design&limit=100")).body;
  const inOrder = skills.toSorted((a, b) => b.stars - a.stars || (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
  assert.deepEqual(skills.map(({ id }) => id), inOrder.map(({ id }) => id));
  assert.ok(skills[0].stars > skills.at(-1).stars);
});

for (const bad of ["limit=0", "limit=101", "limit=x", "page=0", "page=-1", "type=agents", `q=${"a".repeat(201)}`]) {
  test(`?${bad.slice(0, 20)} is refused, naming the parameter`, async () => {
    const { status, body } = await list(`?${bad}`);
    assert.deepEqual([status, body.errors[0].pointer], [400, bad.split("=")[0]]);
    assert.equal(asked(), 0);
  });
}

test("odd text in a query is treated as text", async () => {
  const { total } = (await list()).body;
  for (const odd of ["%25", "_%", "'%20OR%201=1--", "[\"a\"]", "%F0%9F%91%A9", "%ff", "zq%20".repeat(60)]) {
    const { status, body } = await list(`?q=${odd}`);
    assert.equal(status, 200, odd);
    assert.ok(body.total < total, odd);
  }
  for (const nothing of ["q=", "q=%00", "type=", "category="]) assert.equal((await list(`?${nothing}`)).body.total, total, nothing);
});

test("categories are counted", async () => {
  const { body, headers } = await call("GET", "/api/skillsmp/categories");
  const { total } = (await call("GET", "/api/skillsmp/category/git")).body;
  assert.equal(body.categories.find(({ name }) => name === "git").count, total);
  assert.match(headers.get("cache-control"), /^public/);
});

test("a skill is shown by its id, at the original's paths too; an unknown one is 404", async () => {
  const shown = await show(AUDITOR);
  assert.deepEqual([shown.status, shown.body.id, shown.body.type, shown.body.categories], [200, AUDITOR, "agent", ["security"]]);
  assert.deepEqual((await call("GET", `/api/skillsmp/skills/${encodeURIComponent(AUDITOR)}`)).body, shown.body);
  assert.deepEqual((await call("GET", "/api/skillsmp/skills")).body, (await list("?limit=100")).body);
  assert.deepEqual(names(await call("GET", "/api/skillsmp/skills/search?q=auditor")), ["security-auditor"]);
  for (const unknown of ["nothing", "aitmpl:agent:x/y", "skillsmp:x", "' --", "\0"]) {
    for (const { status, body } of [await show(unknown), await install(unknown)]) {
      assert.deepEqual([status, body.error], [404, "Skill not found"], unknown);
    }
  }
});

test("nothing hostile gets into a command, a path or a link", async () => {
  const skills = [...(await list("?limit=100")).body.skills, ...(await list("?limit=100&q=design")).body.skills];
  for (const skill of skills) {
    assert.deepEqual(Object.keys(skill).sort(), ["author", "categories", "description", "githubUrl", "id", "installCommand", "name", "stars", "type"]);
    assert.ok(skill.name.length <= 200 && skill.description.length <= 1000);
    assert.doesNotMatch(skill.name + skill.description, /[\0-\x1f\u202E\u200B]/);
    assert.match(skill.githubUrl ?? "https://github.com/", /^https:\/\/github\.com\/[A-Za-z0-9._/-]*$/);
    const { status, body } = await install(skill.id);
    assert.equal(status, 200, skill.id);
    assert.match(body.installCommand ?? "npx ", /^npx [A-Za-z0-9._/:@ -]*$/);
    assert.match(body.installPath, /^\.(claude\/|mcp)[A-Za-z0-9._/-]+$/);
    assert.ok(!`${body.installCommand} ${body.installPath}`.includes(".."));
  }
  const host = skills.find(({ id }) => id === "skillsmp:evil-host");
  assert.deepEqual([host.githubUrl, host.installCommand], [null, null]);
  assert.ok(!skills.some(({ id }) => /rm -rf|\.\.|passwd/.test(id)));
  assert.equal(skills.filter(({ id }) => id === "aitmpl:agent:development-team/frontend-developer").length, 1);
});

test("an installation has the file, from aitmpl.com or from GitHub, and takes any body", async () => {
  const { body: agent } = await install(AUDITOR);
  assert.equal(agent.installCommand, "npx claude-code-templates@latest --agent security/security-auditor --yes");
  assert.equal(agent.installPath, ".claude/agents/security-auditor.md");
  assert.deepEqual(agent.files.map(({ path }) => path), [agent.installPath]);
  assert.match(agent.files[0].content, /^---\nname: security-auditor\n/);
  assert.equal(agent.skill.id, AUDITOR);
  await list("?q=pdf");
  const { body: skill } = await install(FORMS, { projectId: 1 });
  assert.equal(skill.installPath, ".claude/skills/pdf-forms/SKILL.md");
  assert.match(skill.files[0].content, /^---\nname: pdf-forms\n[^]*Grüße 👋/);
  assert.deepEqual(raw.requests.map(({ path }) => path), ["/anthropics/skills/main/skills/pdf-forms/SKILL.md"]);
});

// Not tested here: a redirect, and a file that is cut off. The harness fetches for the Worker, and hides both.
for (const [name, fault] of Object.entries({
  "is not there": { status: 404 },
  "is too long": { hugeBytes: 300_000 },
  "does not come": { hang: true },
})) {
  test(`when the file ${name} the instructions still work`, async () => {
    await list("?q=pdf");
    raw.setFault({ ...fault, path: "/" });
    const { status, body } = await install(FORMS);
    raw.release();
    assert.deepEqual([status, body.files, raw.requests.length], [200, [], 1]);
    assert.ok(body.installCommand && body.instructions.length >= 3);
  });
}
