// A strict fake of Koyeb's API (with archives as its CLI makes them): apps, services, secrets, archives,
// deployments and their logs. It refuses what the real one refuses, and any field or parameter that it does not know.
//
//   const koyeb = await startKoyeb({ tokens: ['alice', 'bob'] });  // KOYEB_BASE_URL = koyeb.url
//   koyeb.setRun({ statuses: ['STARTING', 'ERROR'], messages: ['exit code 1'], end: ['cannot bind'] });
//   assert.equal(koyeb.deployments.length, 1);

import { extend, json, startFaultServer } from './fault-server.js';

const CODES = { 400: 'invalid_argument', 401: 'unauthorized', 402: 'payment_required', 403: 'forbidden', 404: 'not_found', 409: 'conflict', 429: 'resource_exhausted', 500: 'internal' };
const DEFINITION = ['name', 'type', 'regions', 'instance_types', 'scalings', 'ports', 'routes', 'env', 'health_checks', 'docker', 'git', 'archive'];
const SOURCES = {
  docker: ['image', 'image_registry_secret', 'command', 'args', 'entrypoint', 'privileged'],
  git: ['repository', 'branch', 'sha', 'no_deploy_on_push', 'buildpack', 'docker'],
  archive: ['id', 'buildpack', 'docker'],
};
const LISTS = { apps: ['name', 'limit', 'offset'], services: ['app_id', 'name', 'limit', 'offset'], secrets: ['name', 'limit', 'offset'], deployments: ['service_id', 'app_id', 'limit', 'offset'] };
const LOGS = ['type', 'app_id', 'service_id', 'deployment_id', 'start', 'end', 'order', 'limit'];

/** The course of a deployment by default: for each poll a status, and lines of the build's log. */
const RUN = { statuses: ['PROVISIONING', 'STARTING', 'HEALTHY'], log: [['Building'], ['Built'], []], end: [], messages: [] };

const error = (status, message, fields, headers) => json(status, { status, code: CODES[status] ?? 'unknown', message, ...(fields && { fields }) }, headers);
const wrong = (field, description) => error(400, 'Validation error', [{ field, description }]);
const missing = () => error(404, 'Not found');
const unknown = (keys, known) => keys.find((key) => !known.includes(key));

/**
 * Starts the fake. Each of `tokens` is an organisation of its own; `renewed` is a new token to the old one, of whose organisation it is. Besides what `startFaultServer` returns: `apps`, `services`,
 * `secrets`, `archives` and `deployments`, all that was ever made, each with its `token`; services and apps with `isDeleted`, archives
 * with `bytes`, deployments with `definition` and `status`. `setRun(run)` sets the course of the next deployments.
 */
export async function startKoyeb({ tokens = ['koyeb-token-0123456789'], renewed = {} } = {}) {
  let kept;
  let run;
  const start = () => {
    kept = { apps: [], services: [], secrets: [], archives: [], deployments: [] };
    run = RUN;
  };
  start();

  const tokenOf = ({ headers }) => {
    const token = headers.authorization?.match(/^Bearer (\S+)$/)?.[1];
    return renewed[token] ?? token;
  };
  const mine = (request, kind) => kept[kind].filter((each) => each.token === tokenOf(request) && !each.isDeleted);
  const find = (request, kind, id) => mine(request, kind).find((each) => each.id === id);
  const add = (request, kind, fields) => {
    const row = { id: `${kind.slice(0, -1)}-${kept[kind].length + 1}`, token: tokenOf(request), ...fields };
    kept[kind].push(row);
    return row;
  };

  function refusal(request) {
    const place = request.path.match(/^\/upload\/(.+)$/)?.[1];
    if (place) return refusalOfUpload(request, place);
    if (!tokens.includes(tokenOf(request))) return error(401, 'Token rejected');
    if (request.raw.length > 0 && !request.headers['content-type']?.startsWith('application/json')) return error(400, 'Send JSON');
    return routeOf(request).refusal?.();
  }

  function routeOf(request) {
    const { method, path, body = {}, query } = request;
    const [, kind, id] = path.match(/^\/v1\/(apps|services|secrets|deployments|archives)(?:\/([\w-]+))?$/) ?? [];
    const only = (known) => {
      const parameter = unknown([...query.keys()], known);
      return parameter && wrong(parameter, 'unknown parameter');
    };
    const found = id && find(request, kind, id);
    if (path === '/v1/streams/logs/query' && method === 'GET') {
      return { refusal: () => only(LOGS) ?? refusalOfLogs(request), answer: () => logs(request) };
    }
    if (!kind) return { refusal: missing };
    switch (`${method} ${kind}${id ? '/' : ''}`) {
      case 'GET apps': case 'GET services': case 'GET secrets': case 'GET deployments':
        return { refusal: () => only(LISTS[kind]), answer: () => list(request, kind) };
      case 'GET apps/': case 'GET services/': return { refusal: () => (found ? only([]) : missing()), answer: () => json(200, { [kind.slice(0, -1)]: found }) };
      case 'GET deployments/': return { refusal: () => (found ? only([]) : missing()), answer: () => deployment(found) };
      case 'POST apps': return { refusal: () => refusalOfApp(request, body), answer: () => createApp(request, body) };
      case 'POST secrets': return { refusal: () => refusalOfSecret(body) ?? conflict(request, 'secrets', body), answer: () => json(200, { secret: hidden(add(request, 'secrets', { ...body, changes: 0 })) }) };
      case 'PATCH secrets/': case 'PUT secrets/':
        return { refusal: () => (found ? refusalOfSecret(body) : missing()), answer: () => json(200, { secret: hidden(Object.assign(found, body, { changes: found.changes + 1 })) }) };
      case 'POST archives': return { refusal: () => refusalOfArchive(body), answer: () => createArchive(request, body) };
      case 'POST services': return { refusal: () => refusalOfService(request, body), answer: () => createService(request, body) };
      case 'PUT services/': case 'PATCH services/': return { refusal: () => (found ? refusalOfChange(request, body) : missing()), answer: () => change(request, found, body) };
      case 'DELETE services/': case 'DELETE apps/': return { refusal: () => (found ? undefined : missing()), answer: () => remove(found) };
      default: return { refusal: missing };
    }
  }

  const conflict = (request, kind, { name }) => (mine(request, kind).some((each) => each.name === name) ? error(409, `${name} exists`) : undefined);
  const hidden = ({ id, name, type }) => ({ id, name, type });

  function refusalOfApp(request, body) {
    const field = unknown(Object.keys(body), ['name', 'life_cycle', 'project_id']);
    if (field) return wrong(field, 'unknown field');
    if (!/^[a-z][a-z0-9-]{1,21}[a-z0-9]$/.test(body.name)) return wrong('name', 'must be a label of 3 to 23 characters');
    return conflict(request, 'apps', body);
  }

  function createApp(request, { name }) {
    const app = add(request, 'apps', { name, status: 'STARTING', domains: [{ name: `${name}-org-${tokens.indexOf(tokenOf(request))}.koyeb.app` }] });
    return json(200, { app });
  }

  function refusalOfSecret(body) {
    const field = unknown(Object.keys(body), ['name', 'type', 'value', 'private_registry']);
    if (field) return wrong(field, 'unknown field');
    if (typeof body.name !== 'string' || !['SIMPLE', 'REGISTRY'].includes(body.type)) return wrong('type', 'unknown type');
    const { username, password, url, ...rest } = body.private_registry ?? {};
    if (Object.keys(rest).length > 0) return wrong('private_registry', 'unknown field');
    if (body.type === 'REGISTRY' && !(username && password && url && !url.includes('://'))) return wrong('private_registry', 'needs username, password and url');
  }

  function refusalOfArchive(body) {
    const field = unknown(Object.keys(body), ['size', 'project_id']);
    if (field) return wrong(field, 'unknown field');
    if (typeof body.size !== 'string' || !/^[1-9]\d*$/.test(body.size)) return wrong('size', 'must be a number as a string');
  }

  function createArchive(request, { size }) {
    const archive = add(request, 'archives', { size });
    return json(200, { archive: { id: archive.id, size, upload_url: `${server.url}/upload/${archive.id}?signature=secret` } });
  }

  function refusalOfUpload({ method, query, headers, raw }, id) {
    const archive = kept.archives.find((each) => each.id === id);
    if (method !== 'PUT' || !archive || query.get('signature') !== 'secret') return json(403, { error: 'SignatureDoesNotMatch' });
    if (headers.authorization) return json(400, { error: 'a signed URL takes no other credential' });
    if (headers['content-type'] !== 'application/octet-stream') return json(400, { error: 'content-type' });
    const size = String(raw.length);
    if (headers['x-goog-content-length-range'] !== `${size},${size}` || archive.size !== size) return json(400, { error: 'EntityTooLarge' });
  }

  function refusalOfService(request, body) {
    const field = unknown(Object.keys(body), ['app_id', 'definition', 'name', 'project_id']);
    if (field) return wrong(field, 'unknown field');
    if (!find(request, 'apps', body.app_id)) return wrong('app_id', 'no such app');
    const isTaken = (each) => each.app_id === body.app_id && each.name === body.definition?.name;
    return refusalOfDefinition(request, body.definition) ?? (mine(request, 'services').some(isTaken) ? error(409, 'Service exists') : undefined);
  }

  function refusalOfChange(request, body) {
    const field = unknown(Object.keys(body), ['definition', 'skip_build', 'save_only']);
    return field ? wrong(field, 'unknown field') : refusalOfDefinition(request, body.definition);
  }

  function refusalOfDefinition(request, definition) {
    if (definition === null || typeof definition !== 'object') return wrong('definition', 'is missing');
    const field = unknown(Object.keys(definition), DEFINITION);
    if (field) return wrong(`definition.${field}`, 'unknown field');
    if (!['WEB', 'WORKER'].includes(definition.type) || !/^[a-z][a-z0-9-]*$/.test(definition.name)) return wrong('definition.type', 'unknown type');
    for (const list of ['regions', 'instance_types', 'scalings', 'ports', 'routes', 'env']) {
      if (!Array.isArray(definition[list])) return wrong(`definition.${list}`, 'must be a list');
    }
    const ports = definition.ports.map(({ port }) => port);
    if (ports.some((port) => !Number.isInteger(port)) || definition.routes.some(({ port }) => !ports.includes(port))) return wrong('definition.routes', 'a route to no port');
    if (definition.env.some((each) => typeof each.key !== 'string' || typeof each.value !== 'string')) return wrong('definition.env', 'key and value');
    const sources = Object.keys(SOURCES).filter((source) => definition[source]);
    if (sources.length !== 1) return wrong('definition', 'one of docker, git and archive');
    return refusalOfSource(request, sources[0], definition[sources[0]]);
  }

  function refusalOfSource(request, kind, source) {
    const field = unknown(Object.keys(source), SOURCES[kind]);
    if (field) return wrong(`definition.${kind}.${field}`, 'unknown field');
    if (kind === 'docker') {
      const secret = source.image_registry_secret;
      if (!source.image || source.image.includes('://')) return wrong('definition.docker.image', 'is no image');
      if (secret && !mine(request, 'secrets').some(({ name }) => name === secret)) return wrong('definition.docker.image_registry_secret', 'no such secret');
    } else if (Boolean(source.buildpack) === Boolean(source.docker)) {
      return wrong(`definition.${kind}`, 'one of buildpack and docker');
    }
    if (kind === 'git' && !/^github\.com\/[\w.-]+\/[\w.-]+$/.test(source.repository)) return wrong('definition.git.repository', 'is no repository');
    if (kind === 'archive' && !find(request, 'archives', source.id)?.bytes) return wrong('definition.archive.id', 'is not uploaded');
  }

  function release(request, service, definition) {
    const made = add(request, 'deployments', { service_id: service.id, app_id: service.app_id, definition, run, polls: 0 });
    Object.defineProperty(made, 'status', { enumerable: true, get() { return this.run.statuses[Math.min(this.polls, this.run.statuses.length) - 1] ?? 'PENDING'; } });
    service.latest_deployment_id = made.id;
    return json(200, { service: { ...service } });
  }

  const createService = (request, { app_id, definition }) => release(request, add(request, 'services', { app_id, name: definition.name, status: 'STARTING' }), definition);
  const change = (request, service, { definition }) => release(request, service, definition);

  function list(request, kind) {
    const filters = [...request.query.entries()].filter(([name]) => !['limit', 'offset'].includes(name));
    // The name is looked for anywhere in the name, as a search does.
    const fits = (row) => filters.every(([name, value]) => (name === 'name' ? row.name.includes(value) : row[name] === value));
    const rows = mine(request, kind).filter(fits).reverse().slice(0, Number(request.query.get('limit') ?? 20));
    return json(200, { [kind]: kind === 'secrets' ? rows.map(hidden) : rows, limit: 20, offset: 0, count: rows.length });
  }

  function deployment(found) {
    found.polls += 1;
    const isOver = found.polls >= found.run.statuses.length;
    return json(200, { deployment: { id: found.id, status: found.status, messages: isOver ? found.run.messages : [], definition: found.definition } });
  }

  function refusalOfLogs(request) {
    if (!['build', 'runtime'].includes(request.query.get('type'))) return wrong('type', 'build or runtime');
    if (!find(request, 'deployments', request.query.get('deployment_id'))) return missing();
  }

  function logs(request) {
    const { run: { log, end }, polls } = find(request, 'deployments', request.query.get('deployment_id'));
    const lines = request.query.get('type') === 'build' ? log.slice(0, polls).flat() : [...end];
    const ordered = request.query.get('order') === 'asc' ? lines : lines.reverse();
    const data = ordered.slice(0, Number(request.query.get('limit') ?? 100)).map((msg, i) => ({ msg, created_at: new Date(1_700_000_000_000 + i).toISOString(), labels: {} }));
    return json(200, { data, pagination: { has_more: false } });
  }

  function remove(found) {
    found.isDeleted = true;
    return json(200, {});
  }

  const server = await startFaultServer({
    refusal,
    answer(request) {
      const place = request.path.match(/^\/upload\/(.+)$/)?.[1];
      if (!place) return routeOf(request).answer();
      kept.archives.find((each) => each.id === place).bytes = request.raw;
      return { status: 200, headers: {}, pieces: [] };
    },
    failure: (fault) => error(fault.status, fault.message ?? 'Something went wrong', undefined, fault.headers),
  });
  const kinds = Object.fromEntries(Object.keys(kept).map((kind) => [kind, { enumerable: true, get: () => kept[kind] }]));
  return Object.defineProperties(extend(server, {
    setRun(next) {
      run = { ...RUN, ...next };
    },
    reset() {
      server.reset();
      start();
    },
  }), kinds);
}
