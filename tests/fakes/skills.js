// Strict fakes of the places that skills come from: aitmpl.com, skillsmp.com and raw.githubusercontent.com
//. Each returns what `startFaultServer` returns, and takes its faults.
//
//   const aitmpl = await startAitmpl();
//   aitmpl.setFault({ status: 429, headers: { 'retry-after': '60' }, times: Infinity });
//   assert.equal(aitmpl.count('/components/agents.json'), 1);

import { createHash } from 'node:crypto';
import { extend, json, startFaultServer } from './fault-server.js';
import { aitmplComponents, contentOf, rawFiles, skillsmpSkills } from './skills-data.js';

const KEY = 'sk_live_skillsmp_fake0123456789';

/** A reply in plain text or HTML. */
const page = (status, type, text, headers = {}) => ({ status, headers: { 'content-type': type, ...headers }, pieces: [Buffer.from(text)] });

function readable(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/**
 * aitmpl.com: static JSON under `/counts.json`, `/components/{types}.json` and
 * `/component-content/{types}/{category}/{name}.json`. It refuses all but GET and HEAD with 405, and answers 404 with a page.
 *
 * `components` holds the lists, for a test to change; `hostile: false` leaves the hostile ones out.
 */
export async function startAitmpl({ hostile = true } = {}) {
  let components = aitmplComponents({ hostile });
  const headers = { 'access-control-allow-origin': '*', 'cache-control': 'public, max-age=86400' };

  function find(path) {
    const list = path.match(/^\/components\/([a-z]+)\.json$/)?.[1];
    if (path === '/counts.json') return Object.fromEntries(Object.entries(components).map(([types, items]) => [types, items.length]));
    if (list && Object.hasOwn(components, list)) return components[list];
    const [, types, slug] = readable(path)?.match(/^\/component-content\/([a-z]+)\/(.+)\.json$/) ?? [];
    if (!types || !Object.hasOwn(components, types)) return undefined;
    const item = components[types].find((each) => typeof each?.path === 'string' && each.path.replace(/\.(md|json)$/, '') === slug);
    return item && { content: contentOf(types, item) };
  }

  const server = await startFaultServer({
    refusal({ method, path }) {
      if (!['GET', 'HEAD'].includes(method)) return page(405, 'text/plain', 'Method Not Allowed', { allow: 'GET, HEAD' });
      if (find(path) === undefined) return page(404, 'text/html; charset=utf-8', '<!DOCTYPE html><title>404</title>Not found', headers);
    },
    answer: ({ path }) => json(200, find(path), headers),
    failure: (fault) => page(fault.status, 'text/html; charset=utf-8', `<!DOCTYPE html><title>${fault.status}</title>`, fault.headers),
  });
  return extend(server, {
    get components() {
      return components;
    },
    reset() {
      server.reset();
      components = aitmplComponents({ hostile });
    },
  });
}

const SEARCH_PARAMS = ['q', 'page', 'limit', 'sortBy', 'category', 'occupation'];

/**
 * skillsmp.com: `/api/v1/skills/search` and `/api/v1/skills/ai-search`, and nothing else. It refuses a missing `q`, numbers
 * out of range and unknown parameters with 400 (the real one may ignore the last; here a misspelt one must not pass
 * unseen), a wrong key with 401, and the request after the day's last with 429.
 *
 * `key` is the one key it takes, `skills` what it holds; `anonymousPerDay` and `keyedPerDay` are the quotas until `reset()`.
 */
export async function startSkillsmp({ hostile = true, anonymousPerDay = 50, keyedPerDay = 500 } = {}) {
  let skills = skillsmpSkills({ hostile });
  let used = { anonymous: 0, keyed: 0 };
  const error = (status, code, message, headers) => json(status, { success: false, error: { code, message } }, headers);

  const server = await startFaultServer({
    refusal({ method, path, query, headers }) {
      const wrong = (message) => error(400, 'INVALID_PARAMETER', message);
      if (!['/api/v1/skills/search', '/api/v1/skills/ai-search'].includes(path)) return error(404, 'NOT_FOUND', 'Not found');
      if (method !== 'GET') return error(405, 'METHOD_NOT_ALLOWED', 'Method not allowed');
      if (headers.authorization && headers.authorization !== `Bearer ${KEY}`) return error(401, 'INVALID_API_KEY', 'The API key is invalid');
      if (!query.get('q')?.trim()) return error(400, 'MISSING_QUERY', 'Query parameter "q" is required');
      const known = path.endsWith('ai-search') ? ['q'] : SEARCH_PARAMS;
      const unknown = [...query.keys()].find((name) => !known.includes(name));
      if (unknown) return wrong(`Unknown parameter "${unknown}"`);
      if (!isWithin(query.get('page') ?? '1', 1, 100_000)) return wrong('"page" must be a positive number');
      if (!isWithin(query.get('limit') ?? '20', 1, 100)) return wrong('"limit" must be between 1 and 100');
      if (!['stars', 'recent'].includes(query.get('sortBy') ?? 'stars')) return wrong('"sortBy" must be "stars" or "recent"');
      const [who, limit] = headers.authorization ? ['keyed', keyedPerDay] : ['anonymous', anonymousPerDay];
      if (used[who] >= limit) return error(429, 'DAILY_QUOTA_EXCEEDED', `The limit of ${limit} requests a day is reached`, { 'retry-after': '3600' });
      used[who] += 1;
    },
    answer: ({ path, query }) => json(200, { success: true, data: path.endsWith('ai-search') ? aiSearch(skills, query) : search(skills, query) }),
    failure: (fault) => error(fault.status, fault.type ?? (fault.status === 429 ? 'RATE_LIMITED' : 'INTERNAL_ERROR'), fault.message ?? 'Something went wrong', fault.headers),
  });
  return extend(server, {
    key: KEY,
    get skills() {
      return skills;
    },
    reset() {
      server.reset();
      skills = skillsmpSkills({ hostile });
      used = { anonymous: 0, keyed: 0 };
    },
  });
}

/**
 * raw.githubusercontent.com: `/{owner}/{repo}/{ref}/{path}`, always as text/plain, with an ETag. `files` maps paths to
 * texts or bytes, for a test to change. Unknown paths are 404, methods but GET and HEAD 405.
 */
export async function startRawGithub() {
  let files = rawFiles();
  const etag = (content) => `W/"${createHash('sha256').update(content).digest('hex')}"`;

  const server = await startFaultServer({
    refusal({ method, path }) {
      if (!['GET', 'HEAD'].includes(method)) return page(405, 'text/plain; charset=utf-8', '405: Method Not Allowed');
      if (!files.has(readable(path))) return page(404, 'text/plain; charset=utf-8', '404: Not Found');
    },
    answer({ path, headers: asked }) {
      const content = files.get(readable(path));
      const headers = {
        etag: etag(content), 'cache-control': 'max-age=300', 'x-content-type-options': 'nosniff', 'access-control-allow-origin': '*',
        'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
      };
      if (asked['if-none-match'] === headers.etag) return { status: 304, headers, pieces: [] };
      return page(200, 'text/plain; charset=utf-8', content, headers);
    },
    failure: (fault) => page(fault.status, 'text/plain; charset=utf-8', `${fault.status}: ${fault.message ?? 'Error'}`, fault.headers),
  });
  return extend(server, {
    get files() {
      return files;
    },
    reset() {
      server.reset();
      files = rawFiles();
    },
  });
}

const isWithin = (text, low, high) => /^\d+$/.test(text) && Number(text) >= low && Number(text) <= high;

// Every word of the query is somewhere in the skill.
function matching(skills, query) {
  const words = query.get('q').toLowerCase().split(/\s+/).filter(Boolean);
  return skills.filter((skill) => {
    const text = `${skill.name} ${skill.author} ${skill.description} ${skill.category ?? ''}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

function search(skills, query) {
  const page = Number(query.get('page') ?? 1);
  const limit = Number(query.get('limit') ?? 20);
  const by = query.get('sortBy') === 'recent' ? 'updatedAt' : 'stars';
  const category = query.get('category');
  const found = matching(skills, query)
    .filter((skill) => !category || skill.category === category)
    .sort((a, b) => (Number(b[by]) || 0) - (Number(a[by]) || 0));
  const total = found.length;
  const totalPages = Math.ceil(total / limit);
  return {
    skills: found.slice((page - 1) * limit, page * limit),
    pagination: { page, limit, total, totalPages, hasNext: page < totalPages, hasPrev: page > 1 },
    filters: { search: query.get('q'), sortBy: query.get('sortBy') ?? 'stars' },
  };
}

function aiSearch(skills, query) {
  const found = matching(skills, query).slice(0, 10);
  return {
    object: 'vector_store.search_results.page', search_query: query.get('q'),
    data: found.map((skill, i) => ({ file_id: `file-${skill.id}`, filename: `${skill.id}.md`, score: 0.9 - i / 100, skill })),
  };
}
