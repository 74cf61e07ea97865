// The fake refuses what GitHub's published description does not know.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fault } from './github-description.js';

const request = (method, url, body, headers = { 'content-type': 'application/json' }) => {
  const { pathname: path, searchParams: query } = new URL(url, 'https://api.github.com');
  const raw = Buffer.from(body === undefined ? '' : JSON.stringify(body));
  return fault({ method, path, query, headers, raw, body });
};

test('requests as GitHub describes them are good', () => {
  const entry = { path: 'a', mode: '100644', type: 'blob', sha: null };
  assert.equal(request('GET', '/repos/ada/timer'), undefined);
  assert.equal(request('GET', '/repos/ada/timer/git/ref/heads/a/b'), undefined);
  assert.equal(request('GET', '/repos/ada/timer/git/trees/abc?recursive=1'), undefined);
  assert.equal(request('POST', '/repos/ada/timer/git/trees', { tree: [entry], base_tree: 'abc' }), undefined);
  assert.equal(request('POST', '/app/installations/7/access_tokens'), undefined);
});

test('what it does not know is told', () => {
  const cases = [
    ['GET', '/repos/ada/timer/nothing', undefined, /has no GET/],
    ['DELETE', '/user/repos', undefined, /has no DELETE/],
    ['GET', '/repos/ada/timer/git/trees/abc?deep=1', undefined, /query must NOT have additional/],
    ['POST', '/app/installations/seven/access_tokens', undefined, /path\/installation_id must be integer/],
    ['POST', '/user/repos', { name: 'a', privat: true }, /must NOT have additional/],
    ['POST', '/user/repos', { private: true }, /must have required property 'name'/],
    ['POST', '/user/repos', { name: 'a', description: null }, /body\/description must be string/],
    ['POST', '/repos/ada/timer/git/trees', { tree: [{ path: 'a', mode: '644' }] }, /mode must be equal to one of/],
    ['POST', '/repos/ada/timer/git/commits', { message: 'm', tree: 't', author: { name: 'Ada' } }, /'email'/],
    ['POST', '/repos/ada/timer/git/blobs', undefined, /body is missing/],
    ['POST', '/app/installations/7/access_tokens', { permissions: { contents: 'all' } }, /equal to one of/],
  ];
  for (const [method, url, body, words] of cases) assert.match(request(method, url, body) ?? '', words, `${method} ${url}`);
  assert.match(request('POST', '/user/repos', { name: 'a' }, { 'content-type': 'text/plain' }), /not called JSON/);
});
