import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { startBrave, startGoogle } from './search.js';

const RESULTS = [1, 2, 3].map((n) => ({ title: `T${n}`, url: `https://t${n}.example/`, snippet: 'A <strong>tool</strong>' }));

let brave;
let google;
before(async () => { [brave, google] = await Promise.all([startBrave(), startGoogle()]); });
beforeEach(() => [brave, google].forEach((fake) => { fake.reset(); fake.setResults(RESULTS); }));
after(() => Promise.all([brave.close(), google.close()]));

const braveSearch = (query, headers = { 'x-subscription-token': brave.key }) => fetch(`${brave.url}/res/v1/web/search?${query}`, { headers });
const googleSearch = (query) => fetch(`${google.url}/customsearch/v1?${new URLSearchParams({ key: google.key, cx: google.engine, ...query })}`);

test('Brave answers as many results as were asked for, and no `web` when there are none', async () => {
  const { web } = await (await braveSearch('q=a+tool&count=2')).json();
  assert.deepEqual(web.results.map(({ url }) => url), ['https://t1.example/', 'https://t2.example/']);
  assert.equal(web.results[0].description, 'A <strong>tool</strong>');
  brave.setResults((query) => (query === 'nothing' ? [] : RESULTS));
  assert.equal((await (await braveSearch('q=nothing')).json()).web, undefined);
  assert.deepEqual(brave.queries, ['a tool', 'nothing']);
});

test('Brave refuses a wrong token, a query too long, and parameters that it does not know', async () => {
  assert.equal((await braveSearch('q=a', {})).status, 422);
  assert.equal((await braveSearch('q=a', { 'x-subscription-token': 'no' })).status, 422);
  for (const query of ['', 'q=+', `q=${'a'.repeat(401)}`, `q=${'a+'.repeat(51)}`, 'q=a&count=21', 'q=a&query=b']) {
    assert.equal((await braveSearch(query)).status, 422, query);
  }
});

test('Google answers as many results as were asked for, and no `items` when there are none', async () => {
  const { items } = await (await googleSearch({ q: 'a tool', num: 2 })).json();
  assert.deepEqual(items.map(({ link }) => link), ['https://t1.example/', 'https://t2.example/']);
  google.setResults([]);
  assert.equal((await (await googleSearch({ q: 'nothing' })).json()).items, undefined);
});

test('Google refuses a wrong key, a wrong engine and numbers out of range, and its errors quote the address', async () => {
  for (const query of [{ q: 'a', key: 'no' }, { q: 'a', cx: 'no' }, { q: '' }, { q: 'a', num: 11 }, { q: 'a', query: 'b' }]) {
    const response = await googleSearch(query);
    assert.equal(response.status, 400, JSON.stringify(query));
    assert.match(await response.text(), new RegExp(google.key));
  }
});
