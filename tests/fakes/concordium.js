// Strict fakes of Concordium's wallet proxy and of its Web3 ID verifier, in one server.
// The proxy reads a transaction to the byte and checks its energy, its expiry, its account's next number and its signature,
// with node's own Ed25519. It returns what `startFaultServer` returns and takes its faults.
//
//   const concordium = await startConcordium();
//   // CONCORDIUM_WALLET_PROXY_URL and CONCORDIUM_VERIFIER_URL = concordium.url,
//   // CONCORDIUM_SENDER = concordium.sender, CONCORDIUM_SIGNING_KEY = concordium.signingKey
//   const presentation = concordium.present(request);  // what a wallet makes of a request

import { createHash, createPrivateKey, createPublicKey, randomBytes, verify } from 'node:crypto';
import { extend, json, startFaultServer } from './fault-server.js';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** The address of an account of 32 bytes: base58check, version 1. */
export function addressOf(account) {
  const body = Buffer.concat([Buffer.from([1]), account]);
  let number = BigInt(`0x${Buffer.concat([body, sha256(sha256(body)).subarray(0, 4)]).toString('hex')}`);
  let text = '';
  for (; number > 0n; number /= 58n) text = ALPHABET[Number(number % 58n)] + text;
  return text;
}

/** JSON that is the same for the same value, in whichever order its members are. */
const canonical = (value) => JSON.stringify(value, (_, each) => (
  each && typeof each === 'object' && !Array.isArray(each) ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))) : each));

const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** What a block item says, or the reason why it is none. */
export function readTransaction(raw) {
  if (raw.length < 71 + 60 + 3) return { wrong: 'too short' };
  if (raw.subarray(0, 7).toString('hex') !== '00010001000040') return { wrong: 'not one signature by one key of one credential' };
  const [signature, body] = [raw.subarray(7, 71), raw.subarray(71)];
  const [header, payload] = [body.subarray(0, 60), body.subarray(60)];
  const dataLength = payload.readUInt16BE(1);
  const size = header.readUInt32BE(48);
  const energy = header.readBigUInt64BE(40);
  if (size !== payload.length) return { wrong: 'another size than the header says' };
  if (payload[0] !== 21 || dataLength !== payload.length - 3 || dataLength > 256) return { wrong: 'no registration of data' };
  if (energy !== BigInt(100 + 60 + payload.length + 300)) return { wrong: 'not the energy that it takes' };
  return {
    signature, body, sender: header.subarray(0, 32), nonce: header.readBigUInt64BE(32), expires: Number(header.readBigUInt64BE(52)),
    data: payload.subarray(3), hash: sha256(raw).toString('hex'),
  };
}

/**
 * Starts both. `finalizeAfter` is how many times a transaction's status is asked before it is final (1).
 *
 * `transactions` maps hashes to `{data, nonce, outcome, asked}`. `present(request, changes)` is a wallet's presentation for a
 * request, which the verifier takes as proved; anything else it refuses with 400. `reject()` makes the chain refuse what
 * comes. `overtake(times)`: before each of so many transactions another one of the account's comes, and gets its number.
 */
export async function startConcordium({ finalizeAfter = 1, nonce = 7, network = 'testnet' } = {}) {
  const seed = sha256('a key of tests');
  const publicKey = createPublicKey(createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' }));
  const account = sha256('an account of tests');
  const sender = addressOf(account);
  const transactions = new Map();
  const proofs = new Map();
  let next = nonce;
  let outcome = 'success';
  let overtaking = 0;
  const error = (status, code, message) => json(status, { errorMessage: message, error: code });
  const invalid = (message) => error(400, 1, message);

  function submissionRefusal({ method, headers, raw }) {
    if (method !== 'PUT') return error(405, 1, 'Method not allowed');
    if (!/^application\/octet-stream/.test(headers['content-type'] ?? '')) return invalid('Invalid body');
    const read = readTransaction(raw);
    if (read.wrong) return invalid(`Transaction could not be parsed: ${read.wrong}`);
    if (!read.sender.equals(account)) return invalid('Transaction rejected by node: unknown sender');
    if (!verify(null, sha256(read.body), publicKey, read.signature)) return invalid('Transaction rejected by node: invalid signature');
    // The same again is no harm, whatever became of it.
    if (transactions.has(read.hash)) return undefined;
    if (read.expires < Date.now() / 1000) return invalid('Transaction rejected by node: expired');
    if (read.expires > Date.now() / 1000 + 2 * 3600) return invalid('Transaction rejected by node: too far in the future');
    if (overtaking > 0) [overtaking, next] = [overtaking - 1, next + 1];
    if (read.nonce !== BigInt(next)) return invalid('Transaction rejected by node: nonce');
  }

  function refusal(request) {
    const { method, path, headers, body } = request;
    if (path === '/v0/submitRawTransaction') return submissionRefusal(request);
    if (path === '/v0/verify') {
      if (method !== 'POST') return error(405, 1, 'Method not allowed');
      if (!/^application\/json/.test(headers['content-type'] ?? '')) return json(415, 'Expected request with `Content-Type: application/json`');
      if (body?.missing) return json(404, 'Credential not found');
      return proofs.has(canonical(body)) ? undefined : json(400, 'Invalid proof');
    }
    const [, route, argument] = path.match(/^\/v0\/(accNonce|submissionStatus)\/([^/]+)$/) ?? [];
    if (!route) return error(404, 2, 'Not found');
    if (method !== 'GET') return error(405, 1, 'Method not allowed');
    if (route === 'accNonce' && argument !== sender) return error(404, 2, 'Account not found');
    if (route === 'submissionStatus' && !/^[0-9a-f]{64}$/.test(argument)) return invalid('Malformed transaction hash');
  }

  function status(hash) {
    const transaction = transactions.get(hash);
    if (!transaction) return { status: 'absent' };
    transaction.asked += 1;
    if (transaction.asked < finalizeAfter) return { status: 'received' };
    if (transaction.asked === finalizeAfter && finalizeAfter > 1) return { status: 'committed', outcome: transaction.outcome, blockHashes: [sha256(hash).toString('hex')] };
    return {
      status: 'finalized', outcome: transaction.outcome, blockHashes: [sha256(hash).toString('hex')], cost: '1234',
      ...(transaction.outcome === 'success' ? { registeredData: transaction.data } : { rejectReason: 'OutOfEnergy' }),
    };
  }

  function submit(raw) {
    const { hash, data, nonce: number } = readTransaction(raw);
    if (!transactions.has(hash)) {
      transactions.set(hash, { data: data.toString('hex'), nonce: Number(number), outcome, asked: 0 });
      next += 1;
    }
    return { submissionId: hash };
  }

  const server = await startFaultServer({
    refusal,
    answer({ path, raw, body }) {
      if (path === '/v0/submitRawTransaction') return json(200, submit(raw));
      if (path === '/v0/verify') return json(200, proofs.get(canonical(body)));
      const argument = path.split('/').at(-1);
      return json(200, path.startsWith('/v0/accNonce/') ? { nonce: next, allFinal: true } : status(argument));
    },
    failure: (fault) => error(fault.status, 0, fault.message ?? 'Something went wrong'),
  });

  return extend(server, {
    sender,
    account,
    signingKey: seed.toString('hex'),
    transactions,
    reject() {
      outcome = 'reject';
    },
    overtake(times) {
      overtaking = times;
    },
    /** A presentation for `request`; `changes` are made to what it proves, so that it is good and of something else. */
    present({ challenge, credentialStatements }, changes = {}) {
      const presentation = {
        type: 'VerifiablePresentation', presentationContext: challenge,
        verifiableCredential: [{ type: ['VerifiableCredential', 'ConcordiumVerifiableCredential'], proof: randomBytes(16).toString('hex') }],
        proof: { created: '2026-11-21T09:00:00.000Z', proofValue: [], type: 'ConcordiumWeakLinkingProofV1' },
      };
      proofs.set(canonical(presentation), {
        block: sha256('block').toString('hex'), blockTime: '2026-11-21T09:00:00.250Z', challenge,
        credentialStatements: credentialStatements.map(({ statement }) => ({ id: `did:ccd:${network}:cred:${'85'.repeat(48)}`, statement })),
        ...changes,
      });
      return presentation;
    },
    reset() {
      server.reset();
      transactions.clear();
      proofs.clear();
      [next, outcome, overtaking] = [nonce, 'success', 0];
    },
  });
}
