// A strict fake of Vercel's REST API: deployments of files, their state, events and deletion. It
// refuses what the real one refuses, and any field or parameter that it does not know.
//
//   const vercel = await startVercel({ tokens: ['alice', 'bob'] });  // VERCEL_BASE_URL = vercel.url
//   vercel.setBuild({ states: ['QUEUED', 'BUILDING', 'ERROR'], log: [[], ['npm install'], ['failed']], errorMessage: 'exited with 1' });
//   vercel.setFault({ status: 429, headers: { 'retry-after': '1' } });
//   assert.deepEqual(vercel.deployments.map(({ token }) => token), ['alice']);

import { createHash } from 'node:crypto';
import { extend, json, startFaultServer } from './fault-server.js';

const CREATE_PARAMS = ['teamId', 'slug', 'forceNew', 'skipAutoDetectionConfirmation'];
const CREATE_FIELDS = [
  'name', 'project', 'target', 'files', 'projectSettings', 'meta', 'gitSource', 'gitMetadata', 'deploymentId', 'withLatestCommit', 'monorepoManager',
  'customEnvironmentSlugOrId',
];
const SETTINGS = [
  'framework', 'buildCommand', 'outputDirectory', 'installCommand', 'devCommand', 'rootDirectory', 'nodeVersion', 'serverlessFunctionRegion',
  'sourceFilesOutsideRootDirectory',
];
const FRAMEWORKS = [null, 'nextjs', 'vite', 'astro', 'nuxtjs', 'gatsby', 'create-react-app', 'remix', 'sveltekit-1'];
const MAX_BODY = 10_000_000;
const CODES = { 400: 'bad_request', 402: 'payment_required', 403: 'forbidden', 404: 'not_found', 429: 'rate_limited', 500: 'internal_server_error', 503: 'service_unavailable' };

/** The course of a build by default: for each poll one state, and lines of the log. */
const BUILD = { states: ['QUEUED', 'BUILDING', 'READY'], log: [[], ['Installing dependencies'], ['Build completed']] };

const error = (status, code, message, headers) => json(status, { error: { code, message } }, headers);
const bad = (message) => error(400, 'bad_request', message);
const unknown = (keys, known) => keys.find((key) => !known.includes(key));
const sha1 = (bytes) => createHash('sha1').update(bytes).digest('hex');

/**
 * Starts the fake. Each of `tokens` is an account of its own, and so is each team of one; `renewed` is a new token to the old one,
 * of whose account it is; `teams` is what may stand in `teamId` or `slug`. Besides what `startFaultServer` returns: `deployments` is all that was ever made, the deleted too, with `token`, `team`, `name`,
 * `files` (path to content), `framework`, `target`, `meta`, `state` and `isDeleted`; `uploads` the digests; `setBuild(build)` says
 * how the deployments from now on get on.
 */
export async function startVercel({ tokens = ['vercel-token-0123456789'], teams = [], renewed = {} } = {}) {
  let deployments = [];
  let uploads = new Map();
  let build = BUILD;

  const owner = ({ headers, query }) => {
    const token = headers.authorization?.match(/^Bearer (\S+)$/)?.[1];
    return { token: renewed[token] ?? token, team: query.get('teamId') ?? query.get('slug') };
  };
  const key = ({ token, team }) => `${token}/${team ?? ''}`;
  const mine = (request) => deployments.filter((deployment) => deployment.owner === key(owner(request)) && !deployment.isDeleted);
  const uploaded = (request) => uploads.get(key(owner(request))) ?? new Map();

  function refusal(request) {
    const { token, team } = owner(request);
    if (!tokens.includes(token)) return error(403, 'forbidden', 'Not authorized');
    if (team && !teams.includes(team)) return error(403, 'forbidden', `You don't have access to the team ${team}`);
    if (request.query.has('teamId') && !request.query.get('teamId').startsWith('team_')) return bad('teamId is no id of a team');
    const route = routeOf(request);
    if (!route) return error(404, 'not_found', 'The requested API endpoint was not found');
    const parameter = unknown([...request.query.keys()].filter((name) => !name.startsWith('meta-')), ['teamId', 'slug', ...route.params]);
    if (parameter) return bad(`Invalid request: unknown query parameter \`${parameter}\``);
    return route.refusal?.(request);
  }

  function routeOf({ method, path }) {
    const id = path.match(/^\/v13\/deployments\/(dpl_\w+)$/)?.[1];
    const logged = path.match(/^\/v3\/deployments\/(dpl_\w+)\/events$/)?.[1];
    const missing = (wanted) => (request) => (mine(request).some((deployment) => deployment.id === wanted) ? undefined : error(404, 'not_found', 'Deployment not found'));
    switch (true) {
      case method === 'POST' && path === '/v13/deployments': return { params: CREATE_PARAMS, refusal: refusalOfNew, answer: create };
      case method === 'POST' && path === '/v2/files': return { params: [], refusal: refusalOfFile, answer: upload };
      case method === 'GET' && path === '/v6/deployments': return { params: ['app', 'projectId', 'limit', 'state', 'target', 'until', 'since'], answer: list };
      case method === 'GET' && Boolean(id): return { params: ['withGitRepoInfo'], refusal: missing(id), answer: (request) => show(request, id) };
      case method === 'DELETE' && Boolean(id): return { params: ['url'], refusal: missing(id), answer: (request) => remove(request, id) };
      case method === 'GET' && Boolean(logged): return { params: ['builds', 'follow', 'limit'], refusal: missing(logged), answer: (request) => events(request, logged) };
      default: return undefined;
    }
  }

  function refusalOfFile({ headers, raw }) {
    if (headers['content-type'] !== 'application/octet-stream') return bad('Content-Type must be application/octet-stream');
    if (headers['content-length'] !== String(raw.length)) return bad('Content-Length is missing');
    if (headers['x-vercel-digest'] !== sha1(raw)) return error(400, 'digest_mismatch', 'The digest does not match the file');
  }

  function refusalOfNew(request) {
    const { body, query, headers, raw } = request;
    if (raw.length > MAX_BODY) return error(413, 'request_entity_too_large', 'Request body too large');
    if (!headers['content-type']?.startsWith('application/json') || body === null || typeof body !== 'object') return bad('Invalid JSON');
    const field = unknown(Object.keys(body), CREATE_FIELDS);
    if (field) return bad(`Invalid request: should NOT have additional property \`${field}\``);
    if (!/^[a-z0-9][a-z0-9._-]{0,99}$/.test(body.name)) return bad('Invalid request: `name` is wrong');
    if (!Array.isArray(body.files) || body.files.length === 0 || body.gitSource) return bad('Invalid request: `files` is missing');
    if (query.get('skipAutoDetectionConfirmation') !== '1') return error(400, 'missing_project_settings', 'The framework must be confirmed');
    const isNew = !mine(request).some(({ name }) => name === body.name);
    if (isNew && !body.projectSettings) return error(400, 'missing_project_settings', 'The `projectSettings` object is required');
    const setting = unknown(Object.keys(body.projectSettings ?? {}), SETTINGS);
    if (setting) return bad(`Invalid request: \`projectSettings\` has no \`${setting}\``);
    if (body.projectSettings && !FRAMEWORKS.includes(body.projectSettings.framework)) return bad('Invalid request: unknown framework');
    if (Object.values(body.meta ?? {}).some((value) => typeof value !== 'string')) return bad('Invalid request: `meta` must hold strings');
    if (![undefined, 'production', 'staging'].includes(body.target)) return bad('Invalid request: unknown target');
    const paths = body.files.map(({ file }) => file);
    if (new Set(paths).size !== paths.length) return bad('Invalid request: a file twice');
    const wrong = body.files.map(refusalOfNamed).find(Boolean);
    if (wrong) return wrong;
    const missing = body.files.filter(({ sha, size }) => sha && uploaded(request).get(sha)?.length !== size).map(({ sha }) => sha);
    if (missing.length > 0) return json(400, { error: { code: 'missing_files', message: 'Missing files', missing } });
  }

  function refusalOfNamed({ file, ...rest }) {
    if (typeof file !== 'string' || file.startsWith('/') || file.split('/').includes('..')) return bad(`Invalid request: path \`${file}\``);
    const fields = Object.keys(rest).sort().join();
    if (fields === 'sha,size') return /^[0-9a-f]{40}$/.test(rest.sha) && Number.isInteger(rest.size) ? undefined : bad('Invalid request: sha or size');
    if (!['data', 'data,encoding'].includes(fields)) return bad(`Invalid request: a file has \`${fields}\``);
    if (typeof rest.data !== 'string' || !['utf-8', 'base64', undefined].includes(rest.encoding)) return bad('Invalid request: data or encoding');
  }

  function create(request) {
    const { body } = request;
    const { token, team } = owner(request);
    const count = deployments.length + 1;
    const content = ({ data, encoding, sha }) => (sha ? uploaded(request).get(sha) : Buffer.from(data, encoding ?? 'utf-8')).toString();
    const deployment = {
      id: `dpl_${String(count).padStart(8, '0')}`, url: `${body.name}-${count}x.vercel.app`, owner: key({ token, team }), token, team,
      name: body.name, target: body.target, meta: body.meta ?? {}, framework: body.projectSettings?.framework,
      files: Object.fromEntries(body.files.map((each) => [each.file, content(each)])), build, polls: 0, isDeleted: false, createdAt: 1_700_000_000_000 + count,
      get state() { return this.build.states[Math.min(this.polls, this.build.states.length) - 1] ?? 'QUEUED'; },
    };
    deployments.push(deployment);
    return json(200, shown(deployment));
  }

  function upload(request) {
    const account = key(owner(request));
    if (!uploads.has(account)) uploads.set(account, new Map());
    uploads.get(account).set(request.headers['x-vercel-digest'], request.raw);
    return json(200, {});
  }

  function list(request) {
    const { query } = request;
    const marks = [...query.entries()].filter(([name]) => name.startsWith('meta-')).map(([name, value]) => [name.slice(5), value]);
    const found = mine(request)
      .filter(({ name }) => !query.has('app') || name === query.get('app'))
      .filter(({ meta }) => marks.every(([name, value]) => meta[name] === value));
    const older = found.filter(({ createdAt }) => createdAt < Number(query.get('until') ?? Infinity)).sort((a, b) => b.createdAt - a.createdAt);
    const shownOnes = older.slice(0, Math.min(Number(query.get('limit') ?? 20), 100));
    const next = older.length > shownOnes.length ? shownOnes.at(-1).createdAt : null;
    return json(200, { deployments: shownOnes.map(({ id, url, name, state, meta }) => ({ uid: id, url, name, state, meta })), pagination: { count: shownOnes.length, next } });
  }

  const named = (request, id) => mine(request).find((deployment) => deployment.id === id);

  function show(request, id) {
    const deployment = named(request, id);
    deployment.polls += 1;
    return json(200, shown(deployment));
  }

  function shown({ id, url, name, state, target, build: { errorCode, errorMessage, noAlias } }) {
    const isReady = state === 'READY';
    const failed = state === 'ERROR' ? { errorCode, errorMessage } : {};
    const alias = isReady && !noAlias ? [`${name}-team.vercel.app`, `${name}.vercel.app`] : [];
    return {
      id, url, name, readyState: state, status: state, target: target ?? null, alias, aliasAssigned: isReady && !noAlias ? 1 : null, inspectorUrl: null,
      projectId: `prj_${name}`, ...failed,
    };
  }

  function events(request, id) {
    const { build: { log = [] }, polls } = named(request, id);
    const lines = log.slice(0, polls).flat();
    return json(200, lines.map((text, i) => ({ created: 1_700_000_000_000 + i, type: text.startsWith('!') ? 'stderr' : 'stdout', payload: { id: String(i), text: text.replace(/^!/, '') } })));
  }

  function remove(request, id) {
    named(request, id).isDeleted = true;
    return json(200, { uid: id, state: 'DELETED' });
  }

  const server = await startFaultServer({
    refusal,
    answer: (request) => routeOf(request).answer(request),
    failure: (fault) => error(fault.status, fault.type ?? CODES[fault.status] ?? 'unknown', fault.message ?? 'Something went wrong', fault.headers),
    maxBody: 2 * MAX_BODY,
  });
  return extend(server, {
    get deployments() {
      return deployments;
    },
    get uploads() {
      return [...uploads.values()].flatMap((files) => [...files.keys()]);
    },
    setBuild(next) {
      build = { ...BUILD, ...next };
    },
    reset() {
      server.reset();
      deployments = [];
      uploads = new Map();
      build = BUILD;
    },
  });
}
