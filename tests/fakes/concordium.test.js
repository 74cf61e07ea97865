import assert from 'node:assert/strict';
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { addressOf, readTransaction, startConcordium } from './concordium.js';

let concordium;
before(async () => { concordium = await startConcordium({ finalizeAfter: 3 }); });
beforeEach(() => concordium.reset());
after(() => concordium.close());

const get = async (path) => (await fetch(concordium.url + path)).json();
const submit = (body, headers = { 'content-type': 'application/octet-stream' }) => fetch(`${concordium.url}/v0/submitRawTransaction`, { method: 'PUT', headers, body });

function transaction({ nonce = 7, expires = Math.floor(Date.now() / 1000) + 600, energy, sender = concordium.account, key = concordium.signingKey, data = 'abc' } = {}) {
  const payload = Buffer.concat([Buffer.from([21, 0, data.length]), Buffer.from(data)]);
  const header = Buffer.alloc(60);
  sender.copy(header);
  header.writeBigUInt64BE(BigInt(nonce), 32);
  header.writeBigUInt64BE(BigInt(energy ?? 460 + payload.length), 40);
  header.writeUInt32BE(payload.length, 48);
  header.writeBigUInt64BE(BigInt(expires), 52);
  const body = Buffer.concat([header, payload]);
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(key, 'hex')]);
  const signature = sign(null, createHash('sha256').update(body).digest(), createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  return Buffer.concat([Buffer.from('00010001000040', 'hex'), signature, body]);
}

test('the address of a known account is the one that Concordium documents', () => {
  assert.match(concordium.sender, /^[1-9A-HJ-NP-Za-km-z]{50}$/);
  assert.equal(addressOf(Buffer.alloc(32)).length, 50);
});

test('a transaction is taken once, however often it comes, and becomes final', async () => {
  assert.deepEqual(await get(`/v0/accNonce/${concordium.sender}`), { nonce: 7, allFinal: true });
  const bytes = transaction();
  const { hash } = readTransaction(bytes);
  assert.deepEqual(await get(`/v0/submissionStatus/${hash}`), { status: 'absent' });
  for (let i = 0; i < 3; i += 1) assert.deepEqual(await (await submit(bytes)).json(), { submissionId: hash });
  assert.equal(concordium.transactions.size, 1);
  assert.equal((await get(`/v0/accNonce/${concordium.sender}`)).nonce, 8);
  const stages = [];
  for (let i = 0; i < 4; i += 1) stages.push((await get(`/v0/submissionStatus/${hash}`)).status);
  assert.deepEqual(stages, ['received', 'received', 'committed', 'finalized']);
});

test('a transaction that is overtaken has lost its number', async () => {
  concordium.overtake(1);
  assert.equal((await submit(transaction())).status, 400);
  assert.equal((await get(`/v0/accNonce/${concordium.sender}`)).nonce, 8);
  const bytes = transaction({ nonce: 8 });
  assert.equal((await submit(bytes)).status, 200);
  assert.deepEqual([...concordium.transactions.values()].map(({ nonce }) => nonce), [8]);
});

test('a transaction that is wrong in anything is refused', async () => {
  const now = Math.floor(Date.now() / 1000);
  const good = transaction();
  const flipped = Buffer.from(good);
  flipped[20] ^= 1;
  const wrong = {
    nonce: transaction({ nonce: 8 }), expired: transaction({ expires: now - 1 }), 'too late': transaction({ expires: now + 9_000 }),
    energy: transaction({ energy: 460 }), sender: transaction({ sender: Buffer.alloc(32) }), key: transaction({ key: '11'.repeat(32) }),
    signature: flipped, cut: good.subarray(0, -1), longer: Buffer.concat([good, Buffer.from([0])]), empty: Buffer.alloc(0),
  };
  for (const [name, bytes] of Object.entries(wrong)) assert.equal((await submit(bytes)).status, 400, name);
  assert.equal((await submit(good, { 'content-type': 'application/json' })).status, 400);
  assert.equal(concordium.transactions.size, 0);
});

test('the verifier takes what a wallet has made, to the letter, and nothing else', async () => {
  const verify = (body) => fetch(`${concordium.url}/v0/verify`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const statement = [{ type: 'RevealAttribute', attributeTag: 'dob' }];
  const presentation = concordium.present({ challenge: 'ab'.repeat(32), credentialStatements: [{ statement }] });
  const proved = await (await verify(presentation)).json();
  assert.equal(proved.challenge, 'ab'.repeat(32));
  assert.deepEqual(proved.credentialStatements[0].statement, statement);
  assert.equal((await verify({ ...presentation, presentationContext: 'cd'.repeat(32) })).status, 400);
  assert.equal((await verify({ missing: true })).status, 404);
});
