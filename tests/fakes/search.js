// Strict fakes of the engines that search the web: Brave and Google. Each returns what
// `startFaultServer` returns, takes its faults, and has `key` and `setResults`.
//
//   const brave = await startBrave();       // BRAVE_BASE_URL = brave.url, BRAVE_API_KEY = brave.key
//   brave.setResults([{ title: 'Acme', url: 'https://acme.example/', snippet: 'Books <strong>rooms</strong>' }]);

import { extend, json, startFaultServer } from './fault-server.js';

const isWithin = (text, least, most) => /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most;

/** What both have: results for every query, or a function of the query. */
async function startEngine({ key, refusal, reply, failure }) {
  let results = [];
  const found = (query) => (typeof results === 'function' ? results(query) : results);
  const server = await startFaultServer({
    refusal,
    answer: ({ query }) => json(200, reply(found(query.get('q')), query)),
    failure,
  });
  return extend(server, {
    key,
    /** `[{title, url, snippet}]`, or a function of the query that gives them. */
    setResults(next) {
      results = next;
    },
    /** The queries that were answered, oldest first. */
    get queries() {
      return server.requests.filter(({ status }) => status === 200).map(({ query }) => query.get('q'));
    },
    reset() {
      server.reset();
      results = [];
    },
  });
}

const BRAVE_PARAMS = ['q', 'count', 'offset', 'country', 'search_lang', 'safesearch', 'freshness', 'result_filter'];

/**
 * Brave: `GET /res/v1/web/search`. It refuses a wrong token with 422, as the real one does, a query of more than 400
 * characters or 50 words, a count over 20, and parameters that it does not know (here a misspelt one must not pass unseen).
 */
export async function startBrave() {
  const key = 'BSAfake0123456789abcdef';
  const error = (status, code, detail, headers) => json(status, { type: 'ErrorResponse', error: { code, detail, status } }, headers);
  return startEngine({
    key,
    refusal({ method, path, query, headers }) {
      if (path !== '/res/v1/web/search') return error(404, 'NOT_FOUND', 'Not found');
      if (method !== 'GET') return error(405, 'METHOD_NOT_ALLOWED', 'Method not allowed');
      if (headers['x-subscription-token'] !== key) return error(422, 'SUBSCRIPTION_TOKEN_INVALID', 'The provided subscription token is invalid.');
      if (!/application\/json|\*\/\*/.test(headers.accept ?? '')) return error(406, 'NOT_ACCEPTABLE', 'Only application/json is served');
      const q = query.get('q') ?? '';
      const wrong = (loc) => error(422, 'VALIDATION', `Unable to validate request parameter: ${loc}`);
      if (q.trim() === '' || [...q].length > 400 || q.split(/\s+/).length > 50) return wrong('q');
      if (!isWithin(query.get('count') ?? '20', 1, 20)) return wrong('count');
      if (!isWithin(query.get('offset') ?? '0', 0, 9)) return wrong('offset');
      const unknown = [...query.keys()].find((name) => !BRAVE_PARAMS.includes(name));
      if (unknown) return wrong(unknown);
    },
    reply(results, query) {
      const page = results.slice(0, Number(query.get('count') ?? 20));
      const web = page.map(({ title, url, snippet }) => ({ type: 'search_result', title, url, description: snippet }));
      return { type: 'search', query: { original: query.get('q') }, ...(web.length > 0 && { web: { type: 'search', results: web } }) };
    },
    failure: (fault) => error(fault.status, fault.type ?? (fault.status === 429 ? 'RATE_LIMITED' : 'INTERNAL'), fault.message ?? 'Something went wrong', fault.headers),
  });
}

const GOOGLE_PARAMS = ['key', 'cx', 'q', 'num', 'start', 'safe', 'gl', 'lr', 'dateRestrict'];

/**
 * Google's Custom Search JSON API: `GET /customsearch/v1`. It refuses a wrong key or engine with 400, numbers out of range,
 * and unknown parameters. Its errors quote the address, with the key in it, so that a test sees whether it leaks.
 */
export async function startGoogle() {
  const key = 'AIzaFake0123456789abcdefghijklmnop';
  const engine = '017576662512468239146:omuauf_lfve';
  const error = (status, state, message, headers) => json(status, {
    error: { code: status, message, status: state, errors: [{ reason: state, domain: 'global', message }], details: [`https://www.googleapis.com/customsearch/v1?key=${key}`] },
  }, headers);
  const server = await startEngine({
    key,
    refusal({ method, path, query }) {
      const wrong = (message) => error(400, 'INVALID_ARGUMENT', message);
      if (path !== '/customsearch/v1') return error(404, 'NOT_FOUND', 'Not found');
      if (method !== 'GET') return error(405, 'METHOD_NOT_ALLOWED', 'Method not allowed');
      if (!query.get('key')) return error(403, 'PERMISSION_DENIED', 'The request is missing a valid API key.');
      if (query.get('key') !== key) return wrong('API key not valid. Please pass a valid API key.');
      if (query.get('cx') !== engine) return wrong('Request contains an invalid argument.');
      if (!query.get('q')?.trim()) return wrong('Request contains an invalid argument: q');
      if (!isWithin(query.get('num') ?? '10', 1, 10) || !isWithin(query.get('start') ?? '1', 1, 91)) return wrong('Request contains an invalid argument: num');
      if (!['active', 'off'].includes(query.get('safe') ?? 'off')) return wrong('Invalid value at \'safe\'');
      const unknown = [...query.keys()].find((name) => !GOOGLE_PARAMS.includes(name));
      if (unknown) return wrong(`Invalid JSON payload received. Unknown name "${unknown}"`);
    },
    reply(results, query) {
      const items = results.slice(0, Number(query.get('num') ?? 10)).map(({ title, url, snippet }) => ({
        kind: 'customsearch#result', title, htmlTitle: title, link: url, displayLink: URL.canParse(url) ? new URL(url).hostname : url, snippet, htmlSnippet: snippet,
      }));
      return { kind: 'customsearch#search', searchInformation: { searchTime: 0.2, totalResults: String(results.length) }, ...(items.length > 0 && { items }) };
    },
    failure: (fault) => error(fault.status, fault.type ?? (fault.status === 429 ? 'RESOURCE_EXHAUSTED' : 'INTERNAL'), fault.message ?? 'Something went wrong', fault.headers),
  });
  return extend(server, { engine });
}
