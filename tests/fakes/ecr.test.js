import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { signature, startEcr } from './ecr.js';

const ecr = await startEcr();
after(() => ecr.close());
beforeEach(() => ecr.reset());

/** A call that is signed as it should be, but for what `wrong` changes. */
async function call(operation, body, wrong = {}) {
  const raw = JSON.stringify(body);
  const date = wrong.date ?? new Date().toISOString().replace(/[-:]|\.\d{3}/g, '');
  const headers = {
    'content-type': 'application/x-amz-json-1.1', host: new URL(ecr.url).host, 'x-amz-date': date, 'x-amz-target': `AmazonEC2ContainerRegistry_V20150921.${operation}`,
  };
  const scope = `${date.slice(0, 8)}/us-east-1/ecr/aws4_request`;
  const signed = signature({ method: 'POST', path: '/', headers, raw }, scope, wrong.secret);
  const authorization = `AWS4-HMAC-SHA256 Credential=${wrong.id ?? ecr.keys.id}/${scope}, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=${signed}`;
  const response = await fetch(ecr.url, { method: 'POST', body: wrong.body ?? raw, headers: { ...headers, authorization } });
  return { status: response.status, body: await response.json() };
}

test('its signature is the one of the published vector', () => {
  const headers = {
    'content-type': 'application/x-amz-json-1.1', host: 'api.ecr.us-east-1.amazonaws.com', 'x-amz-date': '20260101T000000Z',
    'x-amz-target': 'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken',
  };
  const signed = signature({ method: 'POST', path: '/', headers, raw: '{}' }, '20260101/us-east-1/ecr/aws4_request');
  assert.equal(signed, '24bf09d1e4c73a352df2bf1348795912963d0587962fba92b0ed17ef55c28427');
});

test('a token is a login of the registry, and a repository is made once', async () => {
  const { body: { authorizationData: [{ authorizationToken, proxyEndpoint }] } } = await call('GetAuthorizationToken', {});
  assert.equal(Buffer.from(authorizationToken, 'base64').toString(), `AWS:${ecr.logins[0]}`);
  assert.equal(proxyEndpoint, `https://${ecr.registry}`);
  assert.equal((await call('CreateRepository', { repositoryName: 'u/app' })).status, 200);
  assert.equal((await call('CreateRepository', { repositoryName: 'u/app' })).body.__type, 'RepositoryAlreadyExistsException');
  assert.deepEqual(ecr.repositories, ['u/app']);
});

const REFUSED = [
  ['another secret', 'GetAuthorizationToken', {}, { secret: 'other' }, 'InvalidSignatureException'],
  ['another key', 'GetAuthorizationToken', {}, { id: 'AKIAOTHER' }, 'UnrecognizedClientException'],
  ['a body that is not what was signed', 'CreateRepository', { repositoryName: 'a1' }, { body: '{"repositoryName":"b1"}' }, 'InvalidSignatureException'],
  ['an old signature', 'GetAuthorizationToken', {}, { date: '20260101T000000Z' }, 'InvalidSignatureException'],
  ['an unknown operation', 'DeleteRepository', {}, {}, 'UnknownOperationException'],
  ['an unknown field', 'CreateRepository', { repositoryName: 'a1', x: 1 }, {}, 'InvalidParameterException'],
  ['a name in capitals', 'CreateRepository', { repositoryName: 'App' }, {}, 'InvalidParameterException'],
];
for (const [what, operation, body, wrong, type] of REFUSED) {
  test(`${what} is refused with ${type}`, async () => {
    const { status, body: { __type } } = await call(operation, body, wrong);
    assert.deepEqual([status, __type], [400, type]);
  });
}
