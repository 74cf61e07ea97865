import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, beforeEach, test } from 'node:test';
import { startVercel } from './vercel.js';

const vercel = await startVercel({ tokens: ['alice', 'bob'], teams: ['team_1'] });
after(() => vercel.close());
beforeEach(() => vercel.reset());

const sha1 = (text) => createHash('sha1').update(text).digest('hex');
const call = async (method, path, body, headers = {}) => {
  const response = await fetch(vercel.url + path, {
    method, body: typeof body === 'object' ? JSON.stringify(body) : body,
    headers: { authorization: 'Bearer alice', ...(body && { 'content-type': 'application/json' }), ...headers },
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
};
const NEW = '/v13/deployments?skipAutoDetectionConfirmation=1';
const app = (more) => ({ name: 'app', files: [{ file: 'index.html', data: 'hi', encoding: 'utf-8' }], projectSettings: { framework: null }, meta: { a: 'b' }, ...more });
const create = (more, headers) => call('POST', NEW, app(more), headers);

test('a deployment gets on with each poll, and its log with it', async () => {
  const { body: { id } } = await create();
  const states = [];
  for (let i = 0; i < 4; i += 1) states.push((await call('GET', `/v13/deployments/${id}`)).body.readyState);
  assert.deepEqual(states, ['QUEUED', 'BUILDING', 'READY', 'READY']);
  const { body } = await call('GET', `/v3/deployments/${id}/events?builds=1&follow=0&limit=-1`);
  assert.deepEqual(body.map(({ payload }) => payload.text), ['Installing dependencies', 'Build completed']);
  assert.deepEqual(vercel.deployments[0].files, { 'index.html': 'hi' });
});

test('an account sees its own deployments alone, and finds them by their marks', async () => {
  const { body: { id } } = await create();
  assert.equal((await call('GET', `/v13/deployments/${id}`, undefined, { authorization: 'Bearer bob' })).status, 404);
  assert.equal((await call('GET', `/v13/deployments/${id}?teamId=team_1`)).status, 404);
  const found = async (query) => (await call('GET', `/v6/deployments?app=app&${query}`)).body.deployments.map(({ uid }) => uid);
  assert.deepEqual(await found('meta-a=b'), [id]);
  assert.deepEqual(await found('meta-a=c'), []);
  assert.equal((await call('DELETE', `/v13/deployments/${id}`)).body.state, 'DELETED');
  assert.equal((await call('DELETE', `/v13/deployments/${id}`)).status, 404);
});

test('a file that was uploaded is named by its digest and its size', async () => {
  const upload = (digest) => call('POST', '/v2/files', 'large', { 'content-type': 'application/octet-stream', 'x-vercel-digest': digest });
  const files = [{ file: 'a.txt', sha: sha1('large'), size: 5 }];
  assert.equal((await create({ files })).body.error.code, 'missing_files');
  assert.equal((await upload(sha1('other'))).body.error.code, 'digest_mismatch');
  assert.equal((await upload(sha1('large'))).status, 200);
  assert.equal((await create({ files: [{ ...files[0], size: 6 }] })).body.error.code, 'missing_files');
  assert.equal((await create({ files })).status, 200);
  assert.equal(vercel.deployments[0].files['a.txt'], 'large');
});

const REFUSED = [
  ['no token', () => create({}, { authorization: '' }), 403],
  ['a foreign team', () => call('POST', `${NEW}&teamId=team_2`, app()), 403],
  ['an unknown field', () => create({ framework: null }), 400],
  ['an unknown parameter', () => call('POST', `${NEW}&x=1`, app()), 400],
  ['an unknown setting', () => create({ projectSettings: { framework: null, build: 'x' } }), 400],
  ['an unknown framework', () => create({ projectSettings: { framework: 'rails' } }), 400],
  ['no settings for a new project', () => create({ projectSettings: undefined }), 400],
  ['no confirmation', () => call('POST', '/v13/deployments', app()), 400],
  ['no files', () => create({ files: [] }), 400],
  ['a path that climbs', () => create({ files: [{ file: '../x', data: '' }] }), 400],
  ['a file of both kinds', () => create({ files: [{ file: 'x', data: '', sha: sha1('') }] }), 400],
  ['a name in capitals', () => create({ name: 'App' }), 400],
  ['an unknown path', () => call('GET', '/v1/x'), 404],
];
for (const [what, ask, status] of REFUSED) {
  test(`${what} is refused with ${status}`, async () => {
    const { status: told, body } = await ask();
    assert.deepEqual([told, typeof body.error.code], [status, 'string']);
    assert.equal(vercel.deployments.length, 0);
  });
}

test('faults strike in its own form of error', async () => {
  vercel.setFault({ status: 429, headers: { 'retry-after': '3' } }, { cutAfterBytes: 0 });
  const limited = await create();
  assert.deepEqual([limited.status, limited.headers.get('retry-after'), limited.body.error.code], [429, '3', 'rate_limited']);
  await assert.rejects(create(), TypeError);
  assert.equal(vercel.deployments.length, 1, 'what is cut off is done all the same');
});
