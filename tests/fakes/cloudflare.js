// A strict fake of Cloudflare's API, as far as it takes to put a Worker of static assets online: upload sessions, uploads,
// scripts (on workers.dev and in dispatch namespaces), their addresses (and what wrangler
// sends). It refuses what the real one refuses, and JSON that it does not know.
//
//   const cloudflare = await startCloudflare();
//   const mine = cloudflare.account({ subdomain: 'mine' });      // {id, token, subdomain}
//   cloudflare.setFault({ status: 500, path: '/client/v4/accounts/' });
//   cloudflare.script(mine, 'pomodoro-1f3a9c04').files           // Map of path to {type, content}
//   await fetch(cloudflare.appUrl(mine, 'pomodoro-1f3a9c04'))    // what it serves

import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { extend, json, startFaultServer } from './fault-server.js';
import { parseForm } from './multipart.js';

const API = '/client/v4';
const HOUR_S = 3600;
const MAX_ASSET = 25 * 1024 * 1024;
const MAX_ASSETS = 20_000;
const SCRIPT_NAME = /^[a-z0-9][a-z0-9-_]{0,62}$/;
const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

const METADATA = {
  assets: 'object', compatibility_date: 'string', compatibility_flags: 'array', annotations: 'object', tags: 'array',
};
const CONFIG = {
  html_handling: ['auto-trailing-slash', 'force-trailing-slash', 'drop-trailing-slash', 'none'],
  not_found_handling: ['single-page-application', '404-page', 'none'],
  run_worker_first: [true, false], _headers: 'string', _redirects: 'string', base_path: 'string',
};

/** @param {{bucketFiles?: number}} options how many files it wants in one upload */
export async function startCloudflare({ bucketFiles = 2 } = {}) {
  const secret = randomBytes(32);
  const accounts = new Map();
  let silentLooks = 0;
  let uploading = { now: 0, most: 0 };

  const sign = (claims) => {
    const head = ['{"alg":"HS256","typ":"JWT"}', JSON.stringify(claims)].map((part) => Buffer.from(part).toString('base64url')).join('.');
    return `${head}.${createHmac('sha256', secret).update(head).digest('base64url')}`;
  };
  /** The claims of a token that is ours and has not expired, of one kind. */
  const claimsOf = (token, kind) => {
    const [head, body, signature] = String(token).split('.');
    if (!signature || createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url') !== signature) return undefined;
    const claims = JSON.parse(Buffer.from(body, 'base64url'));
    return claims.kind === kind && claims.exp > Date.now() / 1000 ? claims : undefined;
  };
  const token = (kind, session) => sign({ kind, session: session.id, account: session.account.id, exp: Math.floor(Date.now() / 1000) + session.ttl });

  const ok = (result, status = 200) => json(status, { success: true, errors: [], messages: [], result });
  const no = (status, code, message) => json(status, { success: false, errors: [{ code, message }], messages: [], result: null });
  const badPayload = (message) => no(400, 10006, message);
  const invalid = (message) => no(400, 10021, message);
  const noScript = () => no(404, 10007, 'workers.api.error.script_not_found');

  /** What each path is, by its method. */
  const ROUTES = [
    ['GET', /^services\/([^/]+)$/, showService],
    ['GET', /^()workers\/([^/]+)$/, showWorker],
    ['GET', /^subdomain$/, showSubdomain],
    ['POST', /^assets\/upload$/, upload, { base64: ['true'] }],
    ['POST', /^(?:dispatch\/namespaces\/([^/]+)\/)?scripts\/([^/]+)\/assets-upload-session$/, beginSession],
    ['PUT', /^(?:dispatch\/namespaces\/([^/]+)\/)?scripts\/([^/]+)$/, putScript, { excludeScript: ['true', 'false'], bindings_inherit: ['strict'] }],
    ['GET', /^dispatch\/namespaces\/([^/]+)\/scripts\/([^/]+)$/, showInNamespace],
    ['DELETE', /^(?:dispatch\/namespaces\/([^/]+)\/)?scripts\/([^/]+)$/, deleteScript, { force: ['true', 'false'] }],
    ['POST', /^()scripts\/([^/]+)\/versions$/, addVersion, { bindings_inherit: ['strict'] }],
    ['GET', /^()scripts\/([^/]+)\/deployments$/, listDeployments],
    ['POST', /^()scripts\/([^/]+)\/deployments$/, deployVersion],
    ['PATCH', /^()scripts\/([^/]+)\/script-settings$/, changeSettings],
    ['GET', /^()scripts\/([^/]+)\/subdomain$/, showAddress],
    ['POST', /^()scripts\/([^/]+)\/subdomain$/, setAddress],
  ];

  /** The reply to a request of the API; its effects are those of the reply. */
  function reply(request) {
    const [, accountId, rest] = request.path.match(/^\/client\/v4\/accounts\/([^/]+)\/workers\/(.+)$/) ?? [];
    if (!rest) return no(404, 7000, 'No route for that URI');
    const matching = ROUTES.map(([method, pattern, handler, query]) => ({ method, params: rest.match(pattern), handler, query })).filter(({ params }) => params);
    const route = matching.find(({ method }) => method === request.method);
    if (!route) return matching.length ? no(405, 10405, 'Method not allowed for this authentication scheme') : no(404, 7000, 'No route for that URI');
    for (const [name, value] of request.query) {
      if (!route.query?.[name]?.includes(value)) return badPayload(`Unknown query parameter ${name}=${value}`);
    }
    const bearer = request.headers.authorization?.match(/^Bearer ([\x21-\x7e]+)$/)?.[1];
    if (!bearer) return no(400, 6003, 'Invalid request headers');
    if (!/^[0-9a-f]{32}$/.test(accountId)) return no(404, 7003, `Could not route to /client/v4/accounts/${accountId}, perhaps your object identifier is invalid?`);
    const account = accounts.get(accountId);
    if (route.handler === upload) return upload(account, request, bearer);
    // An upload token is no API token.
    const owner = [...accounts.values()].find((each) => each.token === bearer);
    if (!owner) return no(401, 10000, 'Authentication error');
    if (owner !== account) return no(403, 10000, 'Authentication error');
    const [, ...params] = route.params;
    const takesForm = [putScript, addVersion].includes(route.handler);
    if (['POST', 'PUT', 'PATCH'].includes(request.method) && !takesForm) {
      if (!/^application\/json(;|$)/.test(request.headers['content-type'] ?? '') || !isObject(request.body)) return badPayload('The body is no JSON object');
    } else if (!takesForm && request.raw.length > 0) return badPayload('This takes no body');
    if (route.handler === showSubdomain) return showSubdomain(account);
    if (route.handler === showService) return showService(account, request, params[0]);
    const [namespace, name] = params;
    if (namespace && !account.namespaces.has(namespace)) return no(404, 100119, 'workers.api.error.dispatch_namespace_not_found');
    if (!SCRIPT_NAME.test(name)) return no(400, 10016, 'The script name is invalid');
    return route.handler(account, request, name, namespace ? account.namespaces.get(namespace) : account.scripts);
  }

  function showSubdomain(account) {
    return account.subdomain ? ok({ subdomain: account.subdomain }) : no(404, 10007, 'workers.api.error.subdomain_not_found');
  }

  const shown = (name, script) => ({
    id: name, etag: script.etag, handlers: [], has_assets: true, has_modules: false, tag: script.tag, tags: script.tags, usage_model: 'standard',
    created_on: script.createdOn, modified_on: script.modifiedOn, compatibility_date: script.metadata.compatibility_date,
    deployment_id: script.deploymentId, startup_time_ms: 1, last_deployed_from: 'api',
  });

  function showService(account, request, name) {
    const script = account.scripts.get(name);
    if (!script) return no(404, 10090, 'workers.api.error.service_not_found');
    return ok({ id: name, default_environment: { environment: 'production', script: shown(name, script) }, created_on: script.createdOn, modified_on: script.modifiedOn });
  }

  // Of the newer API, which wrangler asks for the address.
  function showWorker(account, request, name, scripts) {
    const script = scripts.get(name);
    if (!script) return no(404, 2016, 'Worker not found');
    const subdomain = { enabled: script.enabled, previews_enabled: script.previews, url: `https://${name}.${account.subdomain}.workers.dev` };
    return ok({ id: script.tag, name, tags: script.tags, subdomain, created_on: script.createdOn, updated_on: script.modifiedOn });
  }

  function showInNamespace(account, request, name, scripts) {
    const script = scripts.get(name);
    return script ? ok({ script: shown(name, script), created_on: script.createdOn }) : noScript();
  }

  function beginSession(account, request, name, scripts) {
    const { manifest, ...unknown } = request.body;
    if (Object.keys(unknown).length) return badPayload(`Unknown field ${Object.keys(unknown)}`);
    if (!isObject(manifest) || Object.keys(manifest).length === 0) return badPayload('The manifest is no object of files');
    if (Object.keys(manifest).length > MAX_ASSETS) return badPayload('The manifest has too many files');
    for (const [path, entry] of Object.entries(manifest)) {
      if (account.wantsEncodedPaths && path !== encodeURI(decodeURI(path))) return no(400, 10304, `The manifest path ${path} must be URI-encoded`);
      if (!path.startsWith('/') || path.split('/').slice(1).some((part) => ['', '.', '..'].includes(part))) return badPayload(`The path ${path} is not absolute`);
      if (!isObject(entry) || Object.keys(entry).sort().join() !== 'hash,size') return badPayload(`The entry of ${path} is not {hash, size}`);
      if (!/^[0-9a-f]{32}$/.test(entry.hash)) return badPayload(`The hash of ${path} has not 32 hexadecimal digits`);
      if (!Number.isInteger(entry.size) || entry.size < 0 || entry.size > MAX_ASSET) return badPayload(`The size of ${path} is not one`);
    }
    const session = { id: randomUUID(), account, script: name, scripts, manifest, ttl: account.uploadTtl };
    account.sessions.set(session.id, session);
    const missing = [...new Set(Object.values(manifest).map(({ hash }) => hash))].filter((hash) => !account.uploads.has(hash));
    if (missing.length === 0) return ok({ jwt: token('complete', session), buckets: [] });
    const buckets = Array.from({ length: Math.ceil(missing.length / bucketFiles) }, (_, n) => missing.slice(n * bucketFiles, (n + 1) * bucketFiles));
    return ok({ jwt: token('upload', session), buckets });
  }

  function upload(account, request, bearer) {
    const claims = claimsOf(bearer, 'upload');
    const session = account?.sessions.get(claims?.session);
    if (!session || claims.account !== account.id) return no(401, 10000, 'Authentication error: not an upload token of this account, or expired');
    if (request.query.get('base64') !== 'true') return badPayload('Only base64 uploads are known here');
    const { parts, wrong } = parseForm(request.headers['content-type'], request.raw);
    if (wrong) return badPayload(wrong);
    const wanted = Object.values(session.manifest);
    const files = [];
    for (const { name, filename, type, body } of parts) {
      const entry = wanted.find(({ hash }) => hash === name);
      if (!entry) return badPayload(`${name} is no hash of the session's manifest`);
      if (filename !== name) return badPayload(`The file name of ${name} is ${filename}`);
      if (!/^[a-z]+\/[a-z0-9.+-]+(; charset=[a-z0-9-]+)?$/.test(type ?? '')) return badPayload(`The type of ${name} is ${type}`);
      const text = body.toString('latin1');
      if (!/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return badPayload(`${name} is not base64`);
      const content = Buffer.from(text, 'base64');
      if (content.length !== entry.size) return badPayload(`${name} has ${content.length} bytes, not ${entry.size}`);
      files.push([name, { type, content }]);
    }
    for (const [hash, file] of files) {
      const before = account.uploads.get(hash);
      // A hash must tell contents apart: else one app would serve another's file.
      if (before && !before.content.equals(file.content)) return no(409, 10409, `${hash} is the hash of two contents`);
      account.uploads.set(hash, file);
    }
    const complete = wanted.every(({ hash }) => account.uploads.has(hash));
    return complete ? ok({ jwt: token('complete', session) }, 201) : ok({}, 202);
  }

  /** A form with the metadata of assets alone: the version that it makes, or why it makes none. */
  function readVersion(account, request, name, scripts) {
    const { parts, wrong } = parseForm(request.headers['content-type'], request.raw);
    if (wrong) return { refusal: badPayload(wrong) };
    if (parts.length !== 1 || parts[0].name !== 'metadata') return { refusal: badPayload('A Worker of assets alone has the one part `metadata`') };
    if (parts[0].filename !== undefined) return { refusal: badPayload('`metadata` is no file') };
    let metadata;
    try {
      metadata = JSON.parse(parts[0].body);
    } catch {
      return { refusal: badPayload('`metadata` is not JSON') };
    }
    const wrongly = wrongMetadata(metadata);
    if (wrongly) return { refusal: invalid(wrongly) };
    const session = account.sessions.get(claimsOf(metadata.assets.jwt, 'complete')?.session);
    if (!session || session.script !== name || session.scripts !== scripts) return { refusal: invalid('assets.jwt is no completion token of this script') };
    const files = Object.entries(session.manifest).map(([path, { hash }]) => [path, account.uploads.get(hash)]);
    return { id: randomUUID(), metadata, files: new Map(files), etag: createHash('sha256').update(parts[0].body).digest('hex') };
  }

  function putScript(account, request, name, scripts) {
    const { refusal, ...version } = readVersion(account, request, name, scripts);
    if (refusal) return refusal;
    const now = new Date().toISOString();
    const before = scripts.get(name) ?? { tags: [], enabled: false, previews: false, puts: 0, tag: randomUUID().replaceAll('-', ''), createdOn: now, versions: new Map() };
    const tags = version.metadata.tags ?? before.tags;
    scripts.set(name, { ...before, ...version, tags, puts: before.puts + 1, deploymentId: version.id.replaceAll('-', ''), modifiedOn: now });
    return ok(shown(name, scripts.get(name)));
  }

  // What wrangler does instead of a PUT when the Worker is there: a version, and its deployment.
  function addVersion(account, request, name, scripts) {
    const script = scripts.get(name);
    if (!script) return noScript();
    const { refusal, ...version } = readVersion(account, request, name, scripts);
    if (refusal) return refusal;
    script.versions.set(version.id, version);
    return ok({ id: version.id, number: script.versions.size, metadata: {}, resources: { script: { etag: version.etag } }, startup_time_ms: 1 });
  }

  function deployVersion(account, request, name, scripts) {
    const { strategy, versions, annotations, code_update_strategy: update, ...unknown } = request.body;
    const version = scripts.get(name)?.versions.get(versions?.[0]?.version_id);
    if (Object.keys(unknown).length || strategy !== 'percentage' || versions.length !== 1 || versions[0].percentage !== 100) return badPayload('Not a deployment of one version');
    if (!version) return no(404, 10222, 'No such version');
    Object.assign(scripts.get(name), version, { deploymentId: version.id, modifiedOn: new Date().toISOString() });
    return ok({ id: randomUUID() });
  }

  function changeSettings(account, request, name, scripts) {
    const script = scripts.get(name);
    if (!script) return noScript();
    const unknown = Object.keys(request.body).find((field) => !['tags', 'observability', 'logpush', 'tail_consumers'].includes(field));
    if (unknown) return badPayload(`Unknown field ${unknown}`);
    script.tags = request.body.tags ?? script.tags;
    return ok({ tags: script.tags });
  }

  function listDeployments(account, request, name, scripts) {
    const script = scripts.get(name);
    if (!script) return noScript();
    const versions = [{ version_id: script.deploymentId, percentage: 100 }];
    return ok({ deployments: [{ id: script.deploymentId, source: 'api', strategy: 'percentage', author_email: '', created_on: script.modifiedOn, versions }] });
  }

  function deleteScript(account, request, name, scripts) {
    return scripts.delete(name) ? ok(null) : noScript();
  }

  function showAddress(account, request, name, scripts) {
    const script = scripts.get(name);
    return script ? ok({ enabled: script.enabled, previews_enabled: script.previews }) : noScript();
  }

  function setAddress(account, request, name, scripts) {
    const script = scripts.get(name);
    if (!script) return noScript();
    const { enabled, previews_enabled: previews, ...unknown } = request.body;
    if (Object.keys(unknown).length) return badPayload(`Unknown field ${Object.keys(unknown)}`);
    if (typeof enabled !== 'boolean' || !['boolean', 'undefined'].includes(typeof previews)) return badPayload('enabled and previews_enabled are booleans');
    if (enabled && !DNS_LABEL.test(name)) return no(400, 10016, 'The script name is no host name');
    if (enabled && !account.subdomain) return no(404, 10007, 'workers.api.error.subdomain_not_found');
    Object.assign(script, { enabled, previews: previews ?? script.previews });
    return ok({ enabled, previews_enabled: script.previews });
  }

  /** What the internet sees at `/live/{name}.{subdomain}/…`: the app, after so many looks. */
  function serve(path) {
    const [, name, subdomain, rest] = path.match(/^\/live\/([^./]+)\.([^./]*)(\/.*)?$/) ?? [];
    const account = [...accounts.values()].find((each) => each.subdomain === subdomain);
    const inNamespace = [...accounts.values()].flatMap((each) => [...each.namespaces.values()]).map((scripts) => scripts.get(name)).find(Boolean);
    const script = account?.scripts.get(name) ?? (subdomain === '' ? inNamespace : undefined);
    const text = (status, type, content) => ({ status, headers: { 'content-type': type }, pieces: [Buffer.from(content)] });
    if (!script || (account && !script.enabled)) return text(404, 'text/html', 'There is nothing here yet');
    if (silentLooks > 0) {
      silentLooks -= 1;
      return text(404, 'text/html', 'There is nothing here yet');
    }
    const file = script.files.get(decodeURI(rest ?? '/')) ?? script.files.get('/index.html');
    return file ? text(200, file.type, file.content) : text(404, 'text/html', 'Not found');
  }

  const server = await startFaultServer({
    faultPath: `${API}/`,
    refusal(request) {
      if (request.path.startsWith('/live/') && !request.path.startsWith('/live/.')) return undefined;
      if (!request.path.startsWith(`${API}/`)) return no(404, 7000, 'No route for that URI');
      return undefined;
    },
    answer(request) {
      if (request.path.startsWith('/live/')) return serve(request.path);
      if (request.path.endsWith('/assets/upload')) {
        uploading.now += 1;
        uploading.most = Math.max(uploading.most, uploading.now);
        request.ended.then(() => { uploading.now -= 1; });
      }
      return reply(request);
    },
    failure: ({ status, type, message, headers }) => {
      const { pieces } = no(status, Number(type ?? { 429: 10429, 500: 10013 }[status] ?? 10000), message ?? 'Something went wrong');
      return { status, headers: { 'content-type': 'application/json', ...headers }, pieces };
    },
    garbage: () => Buffer.from('{"success":true,"result":{"jw'),
  });

  return extend(server, {
    /** What CLOUDFLARE_BASE_URL is. */
    apiUrl: `${server.url}${API}`,
    /** What CLOUDFLARE_APP_URL is. */
    appUrlTemplate: `${server.url}/live/{name}.{subdomain}`,
    appUrl: (account, name) => `${server.url}/live/${name}.${account.subdomain ?? ''}`,
    /** Opens an account; its token is good for nothing else. */
    account({ subdomain = `sub${accounts.size}`, namespaces = [], uploadTtl = HOUR_S } = {}) {
      const account = {
        id: randomBytes(16).toString('hex'), token: `cf${randomBytes(19).toString('hex')}`, subdomain, uploadTtl,
        scripts: new Map(), namespaces: new Map(namespaces.map((name) => [name, new Map()])), sessions: new Map(), uploads: new Map(),
      };
      accounts.set(account.id, account);
      return account;
    },
    script: (account, name) => account.scripts.get(name),
    /** The next `looks` at an app find nothing: its address is not known everywhere yet. */
    hideFor(looks) {
      silentLooks = looks;
    },
    /** The most uploads that were under way at once. */
    get mostUploads() {
      return uploading.most;
    },
    reset() {
      server.reset();
      silentLooks = 0;
      uploading = { now: 0, most: 0 };
    },
  });
}

function wrongMetadata(metadata) {
  if (!isObject(metadata)) return '`metadata` is no JSON object';
  for (const [name, value] of Object.entries(metadata)) {
    const type = Array.isArray(value) ? 'array' : typeof value;
    if (METADATA[name] !== type) return `metadata.${name} is unknown, or no ${METADATA[name]}`;
  }
  const { assets, compatibility_date: date, tags = [], compatibility_flags: flags = [], annotations = {} } = metadata;
  if (!/^\d{4}-\d\d-\d\d$/.test(date ?? '') || Number.isNaN(Date.parse(date))) return 'compatibility_date is no date';
  if (Date.parse(date) > Date.now()) return 'compatibility_date is in the future';
  if ([...tags, ...flags].some((each) => typeof each !== 'string' || /[,&]/.test(each))) return 'tags and flags are text without commas and ampersands';
  const unknown = Object.entries(annotations).find(([name, value]) => !['workers/message', 'workers/tag'].includes(name) || typeof value !== 'string' || value.length > 100);
  if (unknown) return `annotations.${unknown[0]} is unknown, or too long`;
  if (!assets || Object.keys(assets).some((name) => !['jwt', 'config'].includes(name))) return 'assets is not {jwt, config}';
  if (typeof assets.jwt !== 'string') return 'assets.jwt is missing';
  for (const [name, value] of Object.entries(assets.config ?? {})) {
    const allowed = CONFIG[name];
    if (!(allowed === 'string' ? typeof value === 'string' : allowed?.includes(value))) return `assets.config.${name} is unknown, or wrong`;
  }
  return undefined;
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
