// A strict fake of GitHub's REST API over real bare repositories of the system's git: what is
// committed through it can be cloned and checked by git itself. It refuses what the real one refuses, and what GitHub's
// published description does not know.
//
//   const github = await startGitHub({ accounts: { 'ghp_ada': 'ada' } });  // GITHUB_API_URL = github.url
//   github.race = 1;                                       // so many pushes of another user come in between
//   github.git('ada', 'timer', 'log', '--oneline', 'main');

import { execFileSync } from 'node:child_process';
import { randomBytes, verify } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extend, json, startFaultServer } from './fault-server.js';
import { fault as faultOf } from './github-description.js';

const IDENTITY = { GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.com', GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@example.com' };

const error = (status, message, more = {}) => json(status, { message, documentation_url: 'https://docs.github.com/rest', status: String(status), ...more });
const validation = (message, errors = []) => error(422, message, { errors });

/** What is wrong with the JSON Web Token of a GitHub App, or nothing. */
function jwtFault(jwt, apps) {
  const [head, claims, signature] = jwt.split('.').map((part) => Buffer.from(part, 'base64url'));
  try {
    const { alg } = JSON.parse(head);
    const { iss, iat, exp } = JSON.parse(claims);
    const now = Date.now() / 1000;
    if (alg !== 'RS256' || !apps[iss]) return 'A JSON web token could not be decoded';
    if (!Number.isInteger(iat) || iat > now) return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
    if (!Number.isInteger(exp) || exp <= now) return "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
    if (exp - now > 600) return "'Expiration time' claim ('exp') is too far in the future";
    const signed = Buffer.from(jwt.slice(0, jwt.lastIndexOf('.')));
    return verify('sha256', signed, apps[iss].publicKey, signature) ? undefined : 'A JSON web token could not be decoded';
  } catch {
    return 'A JSON web token could not be decoded';
  }
}

/** The permission that an operation asks of an installation's token. */
const permissionFor = ({ method, path }) =>
  method === 'POST' && path.startsWith('/orgs/') ? ['administration', 'write'] : path.includes('/git/') || path.includes('/contents/') ? ['contents', method === 'GET' ? 'read' : 'write'] : ['metadata', 'read'];

/**
 * Starts the fake. `accounts` maps tokens to their users; `organisations` maps organisations to their members; `apps` maps the
 * ids of GitHub Apps to `{publicKey, installations}`, the latter by organisation `{id, permissions}`. Besides what
 * `startFaultServer` returns: `repos`, a map of `owner/name` to each repository; `git(owner, name, ...args)` runs git there;
 * `push(owner, name, files, message)` commits as another user; `race`, how many times another user pushes in between. A file
 * is its text, its bytes, null where it is deleted, or `{content, mode}`.
 */
export async function startGitHub({ accounts, organisations = {}, apps = {} }) {
  const root = mkdtempSync(join(tmpdir(), 'github-'));
  const repos = new Map();
  let race = 0;
  let stale = 0;
  let branch = 'main';

  const run = (repo, args, options = {}) =>
    execFileSync('git', ['--git-dir', repo.dir, ...args], { encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], ...options, env: { ...process.env, ...IDENTITY, ...options.env } });
  const tryRun = (repo, args, options) => {
    try {
      return run(repo, args, options).trim();
    } catch {
      return undefined;
    }
  };
  const tip = (repo, branch) => tryRun(repo, ['rev-parse', '--verify', '--quiet', `refs/heads/${branch}`]);
  const isEmpty = (repo) => !tryRun(repo, ['for-each-ref', '--count=1', 'refs/heads']);
  const has = (repo, sha, type) => tryRun(repo, ['cat-file', '-t', sha]) === type;
  const blob = (repo, bytes) => run(repo, ['hash-object', '-w', '--stdin'], { input: bytes }).trim();

  /** A tree on a base, by an index of its own. */
  function makeTree(repo, base, entries) {
    const env = { GIT_INDEX_FILE: join(repo.dir, `index-${Math.random()}`) };
    run(repo, base ? ['read-tree', base] : ['read-tree', '--empty'], { env });
    const lines = entries.map(({ path, mode, sha }) => (sha === null ? `0 ${'0'.repeat(40)}\t${path}\0` : `${mode} ${sha}\t${path}\0`));
    run(repo, ['update-index', '-z', '--index-info'], { env, input: lines.join('') });
    return run(repo, ['write-tree'], { env }).trim();
  }

  function commitFiles(repo, branch, files, message) {
    const parent = tip(repo, branch);
    const entries = Object.entries(files).map(([path, file]) => ({ path, mode: file?.mode ?? '100644', sha: file === null ? null : blob(repo, file.content ?? file) }));
    const tree = makeTree(repo, parent && `${parent}^{tree}`, entries);
    const sha = run(repo, ['commit-tree', tree, ...(parent ? ['-p', parent] : []), '-m', message]).trim();
    run(repo, ['update-ref', `refs/heads/${branch}`, sha]);
    return sha;
  }

  /** Tokens of installations: whose, what they permit and until when. */
  const granted = new Map();
  const bearer = ({ headers }) => headers.authorization?.match(/^Bearer (\S+)$/)?.[1];
  const login = (request) => accounts[bearer(request)];
  const grant = (request) => [granted.get(bearer(request))].find((found) => found?.until > Date.now());
  const isOfApp = (path) => path.startsWith('/app/') || path.endsWith('/installation');
  const isGranted = (request, owner, name) => {
    const { organisation, repositories, permissions } = grant(request) ?? {};
    const [what, level] = permissionFor(request);
    const has = what === 'metadata' || permissions?.[what] === 'write' || permissions?.[what] === level;
    return organisation === owner && has && (!name || !repositories || repositories.includes(name));
  };
  const mayUse = (request, owner, name) => login(request) === owner || organisations[owner]?.includes(login(request)) || isGranted(request, owner, name);
  const shown = (repo) => ({
    id: repo.id, name: repo.name, full_name: `${repo.owner}/${repo.name}`, owner: { login: repo.owner }, private: repo.private, description: repo.description,
    default_branch: repo.branch, html_url: `https://github.com/${repo.owner}/${repo.name}`, clone_url: `https://github.com/${repo.owner}/${repo.name}.git`,
  });

  function refusal(request) {
    if (!request.headers['user-agent']) return error(403, 'Request forbidden by administrative rules. Please make sure your request has a User-Agent header.');
    if (isOfApp(request.path)) {
      const fault = jwtFault(bearer(request) ?? '', apps);
      if (fault) return error(401, fault);
    } else if (!login(request) && !grant(request)) return error(401, 'Bad credentials');
    if (request.headers.accept !== 'application/vnd.github+json' || request.headers['x-github-api-version'] !== '2022-11-28') return error(400, 'Wrong media type or version');
    const fault = faultOf(request);
    return fault && validation(`Invalid request.\n\n${fault}`);
  }

  function create(request, owner) {
    if (!owner) return error(403, 'Resource not accessible by integration');
    const { name, private: isPrivate = false, description = null, auto_init: autoInit = false } = request.body ?? {};
    if (!/^[A-Za-z0-9._-]{1,100}$/.test(name ?? '')) return validation('Repository creation failed.', [{ resource: 'Repository', field: 'name', code: 'custom', message: 'name is invalid' }]);
    if (repos.has(`${owner}/${name}`)) {
      return validation('Repository creation failed.', [{ resource: 'Repository', code: 'custom', field: 'name', message: 'name already exists on this account' }]);
    }
    const repo = { id: repos.size + 1, owner, name, private: isPrivate, description, branch, dir: join(root, `${owner}-${name}.git`) };
    execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch', branch, repo.dir]);
    repos.set(`${owner}/${name}`, repo);
    if (autoInit) commitFiles(repo, branch, { 'README.md': `# ${name}\n` }, 'Initial commit');
    return json(201, shown(repo));
  }

  /** What a GitHub App is answered: where it is installed, and tokens for there. */
  function ofApp(request) {
    const { installations } = apps[JSON.parse(Buffer.from(bearer(request).split('.')[1], 'base64url')).iss];
    const organisation = request.path.match(/^\/orgs\/([^/]+)\/installation$/)?.[1];
    if (organisation) return installations[organisation] ? json(200, { id: installations[organisation].id, account: { login: organisation } }) : error(404, 'Not Found');
    const id = Number(request.path.match(/^\/app\/installations\/(\d+)\/access_tokens$/)?.[1]);
    const [owner, installation] = Object.entries(installations).find(([, one]) => one.id === id) ?? [];
    if (!installation) return error(404, 'Not Found');
    const { permissions = installation.permissions, repositories } = request.body ?? {};
    if (Object.entries(permissions).some(([what, level]) => ![level, 'write'].includes(installation.permissions[what]))) {
      return validation('The permissions requested are not granted to this installation.');
    }
    if (repositories?.some((name) => !repos.has(`${owner}/${name}`))) {
      return validation('There is at least one repository that does not exist or is not accessible to the parent installation.');
    }
    const token = `ghs_${randomBytes(27).toString('hex').slice(0, 36)}`;
    granted.set(token, { organisation: owner, permissions, repositories, until: Date.now() + 3_600_000 });
    return json(201, { token, expires_at: new Date(Date.now() + 3_600_000).toISOString(), permissions });
  }

  function answer(request) {
    const { method, path, body } = request;
    if (isOfApp(path)) return ofApp(request);
    if (method === 'GET' && path === '/user') return json(200, { login: login(request) });
    if (method === 'POST' && path === '/user/repos') return create(request, login(request));
    const membership = path.match(/^\/user\/memberships\/orgs\/([^/]+)$/);
    if (membership) return organisations[membership[1]]?.includes(login(request)) ? json(200, { state: 'active' }) : error(404, 'Not Found');
    const organisation = path.match(/^\/orgs\/([^/]+)\/repos$/);
    if (organisation) return mayUse(request, organisation[1]) ? create(request, organisation[1]) : error(404, 'Not Found');
    const [, owner, name, rest = ''] = path.match(/^\/repos\/([^/]+)\/([^/]+)(?:\/(.+))?$/) ?? [];
    const repo = repos.get(`${owner}/${name}`);
    if (!repo || !mayUse(request, owner, name)) return error(404, 'Not Found');
    if (rest === '') return json(200, shown(repo));
    if (rest.startsWith('git/') && isEmpty(repo)) return error(409, 'Git Repository is empty.');
    return ofRepo(repo, method, rest, body, request);
  }

  function ofRepo(repo, method, rest, body, { query }) {
    const reference = rest.match(/^git\/refs?\/heads\/(.+)$/)?.[1];
    if (method === 'GET' && reference) {
      const newest = tip(repo, decodeURIComponent(reference));
      const sha = (newest && stale > 0 && tryRun(repo, ['rev-parse', '--verify', '--quiet', `${newest}^`])) || newest;
      stale -= stale > 0 ? 1 : 0;
      return sha ? json(200, { ref: `refs/heads/${reference}`, object: { type: 'commit', sha } }) : error(404, 'Not Found');
    }
    if (method === 'PATCH' && reference) return move(repo, decodeURIComponent(reference), body);
    const [, kind, sha] = rest.match(/^git\/(commits|trees|blobs)(?:\/(.+))?$/) ?? [];
    if (method === 'GET' && kind === 'commits') {
      return has(repo, sha, 'commit') ? json(200, { sha, tree: { sha: run(repo, ['rev-parse', `${sha}^{tree}`]).trim() } }) : error(404, 'Not Found');
    }
    if (method === 'GET' && kind === 'trees') {
      if (!has(repo, sha, 'tree')) return error(404, 'Not Found');
      const lines = run(repo, ['ls-tree', '-z', '-l', ...(query.get('recursive') ? ['-r', '-t'] : []), sha]).split('\0').filter(Boolean);
      const tree = lines.map((line) => {
        const [, mode, type, object, size, file] = line.match(/^(\d+) (\w+) (\w+) +(\S+)\t(.+)$/s);
        return { path: file, mode, type, sha: object, ...(size === '-' ? {} : { size: Number(size) }) };
      });
      return json(200, { sha, tree, truncated: false });
    }
    if (method === 'GET' && kind === 'blobs') {
      if (!has(repo, sha, 'blob')) return error(404, 'Not Found');
      const bytes = run(repo, ['cat-file', 'blob', sha], { encoding: 'buffer' });
      return json(200, { sha, size: bytes.length, encoding: 'base64', content: bytes.toString('base64').replace(/.{60}/g, '$&\n') });
    }
    if (method === 'POST' && kind === 'blobs') {
      if (!['base64', 'utf-8'].includes(body.encoding)) return validation('encoding is invalid');
      return json(201, { sha: blob(repo, Buffer.from(body.content, body.encoding === 'base64' ? 'base64' : 'utf8')) });
    }
    if (method === 'POST' && kind === 'trees') return tree(repo, body);
    if (method === 'POST' && kind === 'commits') {
      if (!has(repo, body.tree, 'tree') || !body.parents.every((parent) => has(repo, parent, 'commit'))) return validation('Tree SHA does not exist');
      return json(201, { sha: run(repo, ['commit-tree', body.tree, ...body.parents.flatMap((parent) => ['-p', parent]), '-m', body.message]).trim() });
    }
    const file = rest.match(/^contents\/(.+)$/)?.[1];
    if (method === 'PUT' && file) {
      const path = decodeURIComponent(file);
      const commit = commitFiles(repo, body.branch ?? repo.branch, { [path]: Buffer.from(body.content, 'base64') }, body.message);
      return json(201, { content: { path }, commit: { sha: commit } });
    }
    return error(404, 'Not Found');
  }

  function tree(repo, { base_tree: base, tree: entries }) {
    if (base && !has(repo, base, 'tree')) return validation('base_tree is not a valid tree oid');
    if (!entries?.length) return validation('Invalid tree info');
    const known = base ? run(repo, ['ls-tree', '-r', '-z', '--name-only', base]).split('\0') : [];
    const made = [];
    for (const { path, mode, type, content, sha } of entries) {
      if (!['100644', '100755', '120000'].includes(mode) || type !== 'blob') return validation('tree.mode is not one of the permitted values');
      if (/^\/|(^|\/)\.\.?(\/|$)|(^|\/)\.git(\/|$)|\\/.test(path)) return validation('tree.path contains a malformed path component');
      if (sha === null && !known.includes(path)) return validation('GitRPC::BadObjectState');
      if (sha && !has(repo, sha, 'blob')) return validation('tree.sha is not a valid blob');
      made.push({ path, mode, sha: sha === null ? null : sha ?? blob(repo, content) });
    }
    return json(201, { sha: makeTree(repo, base, made) });
  }

  function move(repo, branch, { sha, force }) {
    if (race > 0) {
      race -= 1;
      commitFiles(repo, branch, { [`race-${race}.txt`]: 'theirs' }, 'Somebody else was faster');
    }
    const old = tip(repo, branch);
    if (!old) return validation('Reference does not exist');
    const isForward = tryRun(repo, ['merge-base', '--is-ancestor', old, sha]) !== undefined;
    if (force || !isForward) return validation('Update is not a fast forward');
    run(repo, ['update-ref', `refs/heads/${branch}`, sha, old]);
    return json(200, { ref: `refs/heads/${branch}`, object: { type: 'commit', sha } });
  }

  const server = await startFaultServer({
    refusal, answer, faultPath: '/', maxBody: 25_000_000,
    failure: (fault) => error(fault.status, fault.message ?? 'Server Error'),
    garbage: () => Buffer.from('<html>'),
  });
  const of = (owner, name) => repos.get(`${owner}/${name}`);
  return extend(server, {
    repos,
    /** Each token that an installation was given, with what it permits. */
    granted,
    git: (owner, name, ...args) => run(of(owner, name), args).trim(),
    push: (owner, name, files, message = 'Pushed') => commitFiles(of(owner, name), of(owner, name).branch, files, message),
    /** The files of the newest commit, path to content. */
    files(owner, name, branch = 'main') {
      const repo = of(owner, name);
      const paths = run(repo, ['ls-tree', '-r', '-z', '--name-only', branch]).split('\0').filter(Boolean);
      return Object.fromEntries(paths.map((path) => [path, run(repo, ['show', `${branch}:${path}`])]));
    },
    /** What new repositories call their first branch. */
    set branch(name) {
      branch = name;
    },
    /** So many times the branch that is read is that of a moment ago, as of a replica that lags. */
    set stale(times) {
      stale = times;
    },
    get race() {
      return race;
    },
    set race(times) {
      race = times;
    },
    async close() {
      await server.close();
      rmSync(root, { recursive: true, force: true });
    },
  });
}
