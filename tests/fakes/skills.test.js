import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { startAitmpl, startRawGithub, startSkillsmp } from './skills.js';
import { TYPES, component } from './skills-data.js';

let aitmpl;
let skillsmp;
let raw;
before(async () => { [aitmpl, skillsmp, raw] = await Promise.all([startAitmpl(), startSkillsmp({ anonymousPerDay: 10, keyedPerDay: 20 }), startRawGithub()]); });
beforeEach(() => [aitmpl, skillsmp, raw].forEach((fake) => fake.reset()));
after(() => Promise.all([aitmpl, skillsmp, raw].map((fake) => fake.close())));

const SEARCH = '/api/v1/skills/search';
const AI_SEARCH = '/api/v1/skills/ai-search';
const searched = (query, headers = {}) => fetch(`${skillsmp.url}${SEARCH}${query}`, { headers });

test('the counts are the lengths of the lists, about sixty in all', async () => {
  const counts = await (await fetch(`${aitmpl.url}/counts.json`)).json();
  let sum = 0;
  for (const types of Object.keys(TYPES)) {
    const response = await fetch(`${aitmpl.url}/components/${types}.json`);
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    assert.equal(response.headers.get('cache-control'), 'public, max-age=86400');
    const { length } = await response.json();
    assert.equal(length, counts[types]);
    sum += length;
  }
  assert.ok(sum >= 50 && sum <= 70, `${sum} components`);
  assert.equal(aitmpl.count('/components/agents.json'), 1);
});

test('each hostile thing is in the lists', async () => {
  const list = async (types) => (await fetch(`${aitmpl.url}/components/${types}.json`)).json();
  const [agents, commands, skills] = await Promise.all(['agents', 'commands', 'skills'].map(list));
  assert.ok(agents.some(({ name }) => name === '"; rm -rf ~'));
  assert.ok(agents.some(({ description }) => description.includes('<script>')));
  assert.ok(agents.some(({ description }) => description.length === 1024 * 1024));
  assert.ok(agents.some(({ path }) => path.startsWith('../')));
  const ids = agents.map(({ path }) => path);
  assert.notEqual(new Set(ids).size, ids.length);
  assert.ok(commands.some((item) => item && !item.path) && commands.includes(null) && commands.includes('just a string'));
  assert.ok(commands.some((item) => typeof item?.description === 'number'));
  assert.ok(skills.some(({ name }) => name.includes('技能')));
  const { data } = await (await searched('?q=shared-name')).json();
  assert.ok(data.skills.some(({ name }) => name === 'shared-name') && skills.some(({ name }) => name === 'shared-name'));
});

test('without the hostile ones every item is plain', async () => {
  const plain = await startAitmpl({ hostile: false });
  const names = Object.values(plain.components).flat().map(({ name }) => name);
  await plain.close();
  assert.ok(names.length > 30 && names.every((name) => /^[a-z0-9-]+$/.test(name)));
});

test('the content of a component is found by type, category and name', async () => {
  const get = (path) => fetch(`${aitmpl.url}/component-content/${path}.json`);
  assert.match((await (await get('agents/security/security-auditor')).json()).content, /^---\nname: security-auditor\n/);
  assert.ok(JSON.parse((await (await get('mcps/devtools/context7')).json()).content).mcpServers.context7);
  assert.match((await (await get(`agents/evil/${encodeURIComponent('"; rm -rf ~')}`)).json()).content, /rm -rf/);
  assert.equal((await get('agents/security/nobody')).status, 404);
  assert.equal((await get('agents/%E0%A4%A')).status, 404);
});

for (const path of ['/components/widgets.json', '/components/constructor.json', '/components/agents', '/Counts.json', '/components/%2e%2e%2fsecret.json']) {
  test(`aitmpl answers ${path} with a page that is not JSON, and 404`, async () => {
    const response = await fetch(aitmpl.url + path);
    assert.equal(response.status, 404);
    assert.match(response.headers.get('content-type'), /^text\/html/);
  });
}

test('aitmpl takes no POST, and HEAD without a body', async () => {
  assert.equal((await fetch(`${aitmpl.url}/counts.json`, { method: 'POST' })).status, 405);
  const head = await fetch(`${aitmpl.url}/counts.json`, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
});

test('a test can publish a component of its own until reset', async () => {
  aitmpl.components.loops.push(component('loops', 'mine/own'));
  const names = async () => (await (await fetch(`${aitmpl.url}/components/loops.json`)).json()).map(({ name }) => name);
  assert.ok((await names()).includes('own'));
  aitmpl.reset();
  assert.ok(!(await names()).includes('own'));
});

test('a search finds, sorts and pages', async () => {
  const { success, data } = await (await searched('?q=design&limit=2&page=2&sortBy=stars')).json();
  assert.equal(success, true);
  assert.equal(data.skills.length, 2);
  const { total, ...pagination } = data.pagination;
  assert.deepEqual(pagination, { page: 2, limit: 2, totalPages: Math.ceil(total / 2), hasNext: true, hasPrev: true });
  const { data: plain } = await (await searched('?q=web%20react')).json();
  assert.deepEqual(plain.skills.map(({ name }) => name), ['react-patterns']);
  assert.deepEqual(Object.keys(plain.skills[0]), ['id', 'name', 'author', 'description', 'githubUrl', 'skillUrl', 'stars', 'updatedAt']);
});

test('an AI search gives scored skills', async () => {
  const { data } = await (await fetch(`${skillsmp.url}${AI_SEARCH}?q=pdf`)).json();
  assert.equal(data.search_query, 'pdf');
  assert.deepEqual(Object.keys(data.data[0]), ['file_id', 'filename', 'score', 'skill']);
});

const REFUSED = [
  ['', 400, 'MISSING_QUERY'], ['?q=', 400, 'MISSING_QUERY'], ['?q=%20', 400, 'MISSING_QUERY'], ['?q=a&limit=101', 400, 'INVALID_PARAMETER'],
  ['?q=a&limit=0', 400, 'INVALID_PARAMETER'], ['?q=a&limit=many', 400, 'INVALID_PARAMETER'], ['?q=a&page=0', 400, 'INVALID_PARAMETER'],
  ['?q=a&sortBy=name', 400, 'INVALID_PARAMETER'], ['?q=a&sort_by=stars', 400, 'INVALID_PARAMETER'],
];
for (const [query, status, code] of REFUSED) {
  test(`a search with "${query}" is refused with ${status} ${code}`, async () => {
    const response = await searched(query);
    const { success, error } = await response.json();
    assert.deepEqual([response.status, success, error.code], [status, false, code]);
    assert.ok(error.message);
  });
}

test('there is no list and no lookup by id at skillsmp, nor a POST', async () => {
  for (const path of ['/api/v1/skills', '/api/v1/skills/anthropics-skills-pdf-forms-skill-md']) {
    const response = await fetch(skillsmp.url + path);
    assert.deepEqual([response.status, (await response.json()).error.code], [404, 'NOT_FOUND']);
  }
  assert.equal((await fetch(`${skillsmp.url}${SEARCH}?q=a`, { method: 'POST' })).status, 405);
});

test('the key is optional, must be right, and has a quota of its own', async () => {
  assert.equal((await searched('?q=a', { authorization: 'Bearer sk_live_skillsmp_wrong' })).status, 401);
  for (let i = 0; i < 10; i += 1) assert.equal((await searched('?q=a')).status, 200);
  const spent = await searched('?q=a');
  assert.deepEqual([spent.status, (await spent.json()).error.code], [429, 'DAILY_QUOTA_EXCEEDED']);
  assert.equal((await searched('?q=a', { authorization: `Bearer ${skillsmp.key}` })).status, 200);
});

test('raw files are text whatever they are, with an ETag that spares the second download', async () => {
  const url = `${raw.url}/davila7/claude-code-templates/main/cli-tool/components/skills/document-processing/pdf/SKILL.md`;
  const response = await fetch(url);
  assert.match(await response.text(), /^---\nname: pdf\n/);
  assert.equal((await fetch(url, { headers: { 'if-none-match': response.headers.get('etag') } })).status, 304);
  const html = await fetch(`${raw.url}/anthropics/skills/main/skills/html/SKILL.md`);
  assert.equal(html.headers.get('content-type'), 'text/plain; charset=utf-8');
  const missing = await fetch(`${raw.url}/anthropics/skills/main/skills/nothing/SKILL.md`);
  assert.deepEqual([missing.status, await missing.text()], [404, '404: Not Found']);
  assert.equal((await fetch(url, { method: 'DELETE' })).status, 405);
});

test('every plain skill of skillsmp has its file', () => {
  for (const { id, githubUrl } of skillsmp.skills.filter(({ id }) => id.startsWith('anthropics-'))) {
    assert.ok(raw.files.has(`${new URL(githubUrl).pathname.replace('/tree/', '/')}/SKILL.md`), id);
  }
});

test('each source can be down, failing, limited, senseless, huge or cut', async () => {
  const urls = [[aitmpl, '/components/loops.json'], [skillsmp, `${SEARCH}?q=pdf`], [raw, '/anthropics/skills/main/skills/pdf-forms/SKILL.md']];
  for (const [fake, path] of urls) {
    const get = () => fetch(fake.url + path);
    fake.setFault({ refuse: true }, { status: 500 }, { status: 429, headers: { 'retry-after': '60' } }, { garbage: true }, { hugeBytes: 3_000_000 }, { cutAfterBytes: 5 });
    await assert.rejects(get(), TypeError);
    assert.equal((await get()).status, 500);
    const limited = await get();
    assert.deepEqual([limited.status, limited.headers.get('retry-after')], [429, '60']);
    await assert.rejects((await get()).json(), SyntaxError);
    assert.ok((await (await get()).arrayBuffer()).byteLength > 3_000_000);
    await assert.rejects((await get()).text(), TypeError);
    assert.equal((await get()).status, 200);
    assert.equal(fake.requests.length, 7);
  }
});

test('a fault can strike one path, and a hanging source answers when released', async () => {
  aitmpl.setFault({ status: 500, path: '/components/' }, { hang: true, path: '/counts.json' });
  const arrived = aitmpl.nextRequest();
  const counts = fetch(`${aitmpl.url}/counts.json`);
  await arrived;
  assert.equal((await fetch(`${aitmpl.url}/components/agents.json`)).status, 500);
  aitmpl.release();
  assert.equal((await counts).status, 200);
});
