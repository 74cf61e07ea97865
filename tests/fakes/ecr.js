// A strict fake of Amazon's Elastic Container Registry: GetAuthorizationToken and CreateRepository. It
// computes each request's signature anew, by AWS Signature Version 4, and refuses one that differs.
//
//   const ecr = await startEcr();   // ECR_BASE_URL = ecr.url, AWS_ACCESS_KEY_ID = ecr.keys.id, …
//   assert.deepEqual(ecr.repositories, ['u/app']);

import { createHash, createHmac } from 'node:crypto';
import { extend, json, startFaultServer } from './fault-server.js';

const KEYS = { id: 'AKIAIOSFODNN7EXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const TARGET = 'AmazonEC2ContainerRegistry_V20150921.';
const REPOSITORY = ['repositoryName', 'imageTagMutability', 'imageScanningConfiguration', 'encryptionConfiguration', 'tags'];
const SIGNED = 'content-type;host;x-amz-date;x-amz-target';
const FIVE_MINUTES = 300_000;

const hash = (text) => createHash('sha256').update(text).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const error = (status, type, message, headers) => json(status, { __type: type, message }, { 'content-type': 'application/x-amz-json-1.1', ...headers });

/** The signature of a request with these headers, in this scope (`date/region/service/aws4_request`). */
export function signature({ method, path, headers, raw }, scope, secret = KEYS.secret) {
  const canonical = [method, path, '', ...SIGNED.split(';').map((name) => `${name}:${headers[name]}`), '', SIGNED, hash(raw)].join('\n');
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, hash(canonical)].join('\n');
  const key = scope.split('/').reduce((before, part) => hmac(before, part), `AWS4${secret}`);
  return hmac(key, text).toString('hex');
}

/**
 * Starts the fake. Besides what `startFaultServer` returns: `keys`, the one pair that it takes; `registry`, its host; `repositories`,
 * the names of those that were made; `logins`, the passwords that it has given.
 */
export async function startEcr({ region = 'us-east-1', account = '123456789012' } = {}) {
  let repositories = [];
  let logins = [];
  const registry = `${account}.dkr.ecr.${region}.amazonaws.com`;

  function refusal(request) {
    const { method, path, headers, body } = request;
    if (method !== 'POST' || path !== '/') return error(404, 'UnknownOperationException', 'Not found');
    if (headers['content-type'] !== 'application/x-amz-json-1.1') return error(400, 'SerializationException', 'Content-Type');
    const [, id, scope, signed, given] = headers.authorization?.match(/^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})$/) ?? [];
    const date = headers['x-amz-date'] ?? '';
    if (!id) return error(400, 'IncompleteSignatureException', 'Authorization is wrong');
    if (id !== KEYS.id) return error(400, 'UnrecognizedClientException', 'The security token included in the request is invalid.');
    if (scope !== `${date.slice(0, 8)}/${region}/ecr/aws4_request`) return error(400, 'InvalidSignatureException', 'Credential should be scoped correctly');
    if (signed !== SIGNED || signature(request, scope) !== given) return error(400, 'InvalidSignatureException', 'The signature does not match');
    const time = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
    if (!(Math.abs(Date.now() - time) < FIVE_MINUTES)) return error(400, 'InvalidSignatureException', 'Signature expired');
    if (body === null || typeof body !== 'object') return error(400, 'SerializationException', 'Not JSON');
    return refusalOf(headers['x-amz-target'], body);
  }

  function refusalOf(target, body) {
    if (target === `${TARGET}GetAuthorizationToken`) return Object.keys(body).length === 0 ? undefined : error(400, 'InvalidParameterException', 'Unknown field');
    if (target !== `${TARGET}CreateRepository`) return error(400, 'UnknownOperationException', 'No such operation');
    const field = Object.keys(body).find((key) => !REPOSITORY.includes(key));
    if (field) return error(400, 'InvalidParameterException', `Unknown field ${field}`);
    if (!/^(?=.{2,256}$)[a-z0-9]+([._/-][a-z0-9]+)*$/.test(body.repositoryName)) return error(400, 'InvalidParameterException', 'repositoryName');
    if (repositories.includes(body.repositoryName)) return error(400, 'RepositoryAlreadyExistsException', 'The repository already exists');
  }

  function answer({ headers, body }) {
    if (headers['x-amz-target'] === `${TARGET}CreateRepository`) {
      repositories.push(body.repositoryName);
      return json(200, { repository: { repositoryName: body.repositoryName, registryId: account, repositoryUri: `${registry}/${body.repositoryName}` } });
    }
    logins.push(`ecr-password-${logins.length + 1}`);
    const authorizationToken = Buffer.from(`AWS:${logins.at(-1)}`).toString('base64');
    return json(200, { authorizationData: [{ authorizationToken, expiresAt: Date.now() / 1000 + 43_200, proxyEndpoint: `https://${registry}` }] });
  }

  const server = await startFaultServer({
    refusal,
    answer,
    failure: (fault) => error(fault.status, fault.type ?? 'ServerException', fault.message ?? 'Something went wrong', fault.headers),
  });
  return extend(server, {
    keys: KEYS,
    registry,
    get repositories() {
      return repositories;
    },
    get logins() {
      return logins;
    },
    reset() {
      server.reset();
      repositories = [];
      logins = [];
    },
  });
}
