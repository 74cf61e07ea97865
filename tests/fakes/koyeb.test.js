import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { startKoyeb } from './koyeb.js';

const koyeb = await startKoyeb({ tokens: ['alice', 'bob'] });
after(() => koyeb.close());
beforeEach(() => koyeb.reset());

const call = async (method, path, body, headers = {}) => {
  const response = await fetch(new URL(path, koyeb.url), {
    method, body: body && JSON.stringify(body), headers: { authorization: 'Bearer alice', ...(body && { 'content-type': 'application/json' }), ...headers },
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
};
const definition = (more) => ({
  name: 'web', type: 'WEB', regions: ['fra'], instance_types: [{ type: 'free' }], scalings: [{ min: 1, max: 1 }], ports: [{ port: 8000, protocol: 'http' }],
  routes: [{ port: 8000, path: '/' }], env: [{ key: 'PORT', value: '8000' }], docker: { image: 'nginx' }, ...more,
});
const app = async () => (await call('POST', '/v1/apps', { name: 'app' })).body.app.id;
const service = async (more, app_id) => call('POST', '/v1/services', { app_id: app_id ?? await app(), definition: definition(more) });

test('a service has a deployment, and gets another with each change', async () => {
  const { body: { service: { id, latest_deployment_id: first } } } = await service();
  const statuses = [];
  for (let i = 0; i < 4; i += 1) statuses.push((await call('GET', `/v1/deployments/${first}`)).body.deployment.status);
  assert.deepEqual(statuses, ['PROVISIONING', 'STARTING', 'HEALTHY', 'HEALTHY']);
  const { body } = await call('PUT', `/v1/services/${id}`, { definition: definition({ docker: { image: 'nginx:2' } }) });
  assert.notEqual(body.service.latest_deployment_id, first);
  const { body: { deployments } } = await call('GET', `/v1/deployments?service_id=${id}`);
  assert.deepEqual(deployments.map((each) => each.definition.docker.image), ['nginx:2', 'nginx']);
  const { body: { data } } = await call('GET', `/v1/streams/logs/query?type=build&deployment_id=${first}&order=asc`);
  assert.deepEqual(data.map(({ msg }) => msg), ['Building', 'Built']);
});

test('an organisation sees what is its own alone', async () => {
  const id = await app();
  const asBob = { authorization: 'Bearer bob' };
  assert.equal((await call('GET', `/v1/apps/${id}`, undefined, asBob)).status, 404);
  assert.deepEqual((await call('GET', '/v1/apps?name=app', undefined, asBob)).body.apps, []);
  assert.equal((await call('POST', '/v1/apps', { name: 'app' })).status, 409);
  assert.equal((await call('POST', '/v1/apps', { name: 'app' }, asBob)).status, 200);
});

test('a secret of a registry is kept and changed, and never shown', async () => {
  const secret = { name: 'ecr', type: 'REGISTRY', private_registry: { username: 'AWS', password: 'p', url: 'r.example' } };
  const { body } = await call('POST', '/v1/secrets', secret);
  assert.deepEqual(Object.keys(body.secret), ['id', 'name', 'type']);
  assert.equal((await call('POST', '/v1/secrets', secret)).status, 409);
  await call('PATCH', `/v1/secrets/${body.secret.id}`, { ...secret, private_registry: { ...secret.private_registry, password: 'q' } });
  assert.equal(koyeb.secrets[0].private_registry.password, 'q');
});

test('an archive is uploaded to its URL, in its size, and then can be built', async () => {
  const { body: { archive } } = await call('POST', '/v1/archives', { size: '3' });
  const archived = { docker: undefined, archive: { id: archive.id, docker: {} } };
  const id = await app();
  assert.equal((await service(archived, id)).status, 400);
  const put = (headers, body = 'tar') => fetch(archive.upload_url, { method: 'PUT', body, headers: { 'content-type': 'application/octet-stream', 'x-goog-content-length-range': '3,3', ...headers } });
  assert.equal((await put({}, 'long')).status, 400);
  assert.equal((await put({ authorization: 'Bearer alice' })).status, 400);
  assert.equal((await put({})).status, 200);
  assert.equal((await service(archived, id)).status, 200);
});

const REFUSED = [
  ['no token', () => call('GET', '/v1/apps', undefined, { authorization: '' }), 401],
  ['an unknown path', () => call('GET', '/v1/x'), 404],
  ['an unknown parameter', () => call('GET', '/v1/apps?x=1'), 400],
  ['a long name', () => call('POST', '/v1/apps', { name: 'a'.repeat(24) }), 400],
  ['an unknown field of an app', () => call('POST', '/v1/apps', { name: 'app', x: 1 }), 400],
  ['a service without an app', () => service({}, 'app-9'), 400],
  ['an unknown field of a definition', () => service({ x: 1 }), 400],
  ['two sources', () => service({ git: { repository: 'github.com/o/r', branch: 'main', buildpack: {} } }), 400],
  ['a repository with a scheme', () => service({ docker: undefined, git: { repository: 'https://github.com/o/r', branch: 'main', buildpack: {} } }), 400],
  ['an unknown secret', () => service({ docker: { image: 'x', image_registry_secret: 'none' } }), 400],
  ['a route to no port', () => service({ routes: [{ port: 1, path: '/' }] }), 400],
  ['a port as text', () => service({ env: [{ key: 'PORT', value: 8000 }] }), 400],
  ['a size that is a number', () => call('POST', '/v1/archives', { size: 3 }), 400],
];
for (const [what, ask, status] of REFUSED) {
  test(`${what} is refused with ${status}`, async () => {
    const { status: told, body } = await ask();
    assert.deepEqual([told, body.status], [status, status]);
    assert.equal(koyeb.services.length, 0);
  });
}

test('faults strike in its own form of error', async () => {
  koyeb.setFault({ status: 429, headers: { 'retry-after': '3' } }, { cutAfterBytes: 0 });
  const limited = await call('POST', '/v1/apps', { name: 'app' });
  assert.deepEqual([limited.status, limited.headers.get('retry-after'), limited.body.code], [429, '3', 'resource_exhausted']);
  await assert.rejects(call('POST', '/v1/apps', { name: 'app' }), TypeError);
  assert.equal(koyeb.apps.length, 1, 'what is cut off is done all the same');
});
