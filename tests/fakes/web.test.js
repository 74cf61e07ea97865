import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { bomb, forbiddenBecause, page, redirect, startWeb } from './web.js';

let web;
before(async () => { web = await startWeb({ 'https://acme.example/?a=1': page('Acme', 'Books rooms.'), 'https://old.example/': redirect('/new') }); });
beforeEach(() => web.reset());
after(() => web.close());

const get = (address, options) => fetch(`${web.url}/${address}`, { redirect: 'manual', ...options });

test('a page is at its address, a redirect leads on, and there is nothing else', async () => {
  assert.match(await (await get('https://acme.example/?a=1')).text(), /Books rooms\./);
  assert.equal((await get('https://old.example/')).headers.get('location'), '/new');
  assert.equal((await get('https://acme.example/')).status, 404);
  assert.equal((await get('https://acme.example/?a=1', { method: 'POST' })).status, 405);
  assert.equal((await get('https://acme.example/?a=1', { headers: { authorization: 'Bearer x' } })).status, 400);
  assert.equal(web.visited[0], 'https://acme.example/?a=1');
});

test('an address that is none of the public web is refused and remembered', async () => {
  for (const address of ['http://acme.example/', 'https://127.0.0.1/', 'https://0x7f000001/', 'https://[::1]/', 'https://localhost/', 'https://a.internal/', 'https://acme.example:8443/', 'https://u@acme.example/', 'nothing']) {
    assert.ok(forbiddenBecause(address), address);
    assert.equal((await get(address)).status, 403, address);
  }
  assert.equal(web.forbidden.length, 9);
});

test('a bomb is small on the wire and large when unpacked', async () => {
  web.pages['https://bomb.example/'] = bomb(3_000_000);
  const text = await (await get('https://bomb.example/')).text();
  assert.ok(text.length > 3_000_000 && web.requests.at(-1).bytesSent < 10_000);
});
