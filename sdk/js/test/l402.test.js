'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const test = require('node:test');
const { inspect } = require('node:util');
const { l402 } = require('../index.js');
const vectors = require('../../testdata/l402.json');

const { key, charge_id: chargeId, payment_hash: paymentHash, preimage } = vectors;
const service = 'weather';
const resource = 'GET /forecast';
const now = new Date(1_800_000_000_000);
const asked = { service, resource, amountMsat: 21_000, now };
const given = { service, resource, validUntil: new Date(+now + 3_600_000), amountMsat: 21_000 };
const mint = (caveats = l402.caveats(given)) => l402.mint(key, { chargeId, paymentHash, caveats });
const credential = (macaroon, secret = preimage) => new l402.Credential(macaroon, secret);

/** Why a call is refused; empty when it is not. */
function reasonOf(call) {
  try {
    call();
    return '';
  } catch (error) {
    assert.ok(error instanceof l402.L402Error, error);
    return error.reason;
  }
}

test('tokens are those of Go, to the byte', () => {
  assert.deepEqual(l402.caveats(given), vectors.caveats);
  assert.equal(String(mint()), vectors.macaroon);
  assert.equal(l402.challenge(mint(), vectors.invoice)[0], vectors.www_authenticate);
  const read = l402.parseMacaroon(vectors.macaroon);
  assert.equal(String(read), vectors.macaroon);
  assert.deepEqual([read.chargeId, read.paymentHash], [chargeId, paymentHash]);
});

for (const vector of vectors.cases) {
  test(`vector: ${vector.name}`, () => {
    const reason = reasonOf(() => {
      const [found] = l402.parseAuthorization(vector.authorization);
      const at = new Date(vector.now * 1000);
      l402.verify(key, found, { service: vector.service, resource: vector.resource, amountMsat: vector.amount_msat, now: at });
    });
    assert.equal(reason, vector.reason);
  });
}

test('what a token is good for', () => {
  const narrowed = (...caveats) => credential(mint().attenuate(...caveats));
  const until = (ms) => `weather_valid_until=${(+now + ms) / 1000}`;
  const cases = [
    ['the last second', '', credential(mint()), { now: new Date(+now + 3_599_999) }],
    ['at the end', 'expired', credential(mint()), { now: new Date(+now + 3_600_000) }],
    ['narrowed to nothing', 'expired', narrowed(until(0))],
    ['same services', '', narrowed('services=weather:0')],
    ['no number', 'widened', narrowed('weather_valid_until=never')],
    ['a number of too many bits', 'widened', narrowed('weather_amount_msat=9223372036854775808')],
    ['a negative number', 'widened', narrowed('weather_amount_msat=-1')],
    ['a number with a sign', '', narrowed('weather_amount_msat=+21000')],
    ['its preimage', '', narrowed(`preimage=${preimage}`)],
    ["another's preimage", 'wrong_preimage', narrowed(`preimage=${'0'.repeat(64)}`)],
    ['a caveat that is not ASCII', '', narrowed('colour=\u00e4\u{1f600}')],
    ['a price beyond the doubles', 'underpaid', credential(mint()), { amountMsat: 2n ** 60n }],
    ['any service', '', credential(mint(l402.caveats({ ...given }).slice(1))), { needService: false }],
    ['free, without an amount', '', credential(mint(l402.caveats(given).slice(0, 3))), { amountMsat: 0 }],
  ];
  for (const [name, want, token, change] of cases) {
    assert.equal(reasonOf(() => l402.verify(key, token, { ...asked, ...change })), want, name);
  }
});

test('a token that lacks a caveat is not one of this use of the key', () => {
  ['wrong_service', 'wrong_resource', '', 'underpaid'].forEach((want, i) => {
    const some = l402.caveats(given).filter((_, at) => at !== i);
    assert.equal(reasonOf(() => l402.verify(key, credential(mint(some)), asked)), want);
  });
});

test('a capability must be among those of the token', () => {
  const macaroon = mint(l402.caveats({ ...given, capabilities: ['add', 'subtract'] }));
  for (const [capability, want] of [[undefined, ''], ['add', ''], ['subtract', ''], ['divide', 'wrong_capability']]) {
    assert.equal(reasonOf(() => l402.verify(key, credential(macaroon), { ...asked, capability })), want);
  }
  const widened = credential(macaroon.attenuate('weather_capabilities=add,divide'));
  assert.equal(reasonOf(() => l402.verify(key, widened, asked)), 'widened');
});

const token = vectors.macaroon;
const bytesOf = (macaroon) => Buffer.from(String(macaroon), 'base64');
const paidHex = bytesOf(mint().attenuate(`preimage=${preimage}`)).toString('hex');
const urlSafe = token.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

test('where credentials are found', () => {
  const cases = {
    none: [{}, 'no_credential'],
    'another scheme': [{ authorization: 'Bearer abc' }, 'no_credential'],
    'a scheme that begins like ours': [{ authorization: 'L4020 abc' }, 'no_credential'],
    L402: [{ authorization: `L402 ${token}:${preimage}` }, 1],
    'lower case': [{ authorization: `l402  ${token}:${preimage.toUpperCase()} ` }, 1],
    'URL alphabet': [{ authorization: `L402 ${urlSafe}:${preimage}` }, 1],
    'both, as Aperture': [{ authorization: [`LSAT ${token}:${preimage}`, `L402 ${token}:${preimage}`] }, 2],
    'beside Bearer': [{ authorization: ['Bearer abc', `L402 ${token}:${preimage}`] }, 1],
    'two macaroons': [{ authorization: `L402 ${token},${token}:${preimage}` }, 2],
    'too many': [{ authorization: `L402 ${`${token},`.repeat(9)}${token}:${preimage}` }, 4],
    gRPC: [{ macaroon: paidHex }, 1],
    'gRPC over REST': [new Headers({ 'Grpc-Metadata-Macaroon': paidHex }), 1],
    'gRPC, not paid': [{ macaroon: bytesOf(mint()).toString('hex') }, 'malformed'],
    'nothing after the scheme': [{ authorization: 'L402' }, 'malformed'],
    'no preimage': [{ authorization: `L402 ${token}` }, 'malformed'],
    'short preimage': [{ authorization: `L402 ${token}:ab` }, 'malformed'],
    'cut off': [{ authorization: `L402 ${token.slice(0, 40)}:${preimage}` }, 'malformed'],
    'mixed alphabets': [{ authorization: `L402 ${token}-_:${preimage}` }, 'malformed'],
    empty: [{ authorization: `L402 :${preimage}` }, 'malformed'],
    'too long': [{ authorization: `L402 ${'A'.repeat(20_000)}:${preimage}` }, 'malformed'],
  };
  for (const [name, [headers, want]] of Object.entries(cases)) {
    let found = [];
    const reason = reasonOf(() => { found = l402.fromHeaders(headers); });
    assert.equal(reason || found.length, want, name);
    for (const one of found) l402.verify(key, one, asked);
  }
});

test('a macaroon has one reading only', () => {
  const bytes = bytesOf(mint());
  const parse = (...parts) => reasonOf(() => l402.parseMacaroon(Buffer.concat(parts).toString('base64')));
  assert.equal(parse(bytes), '');
  for (let end = 0; end < bytes.length; end += 1) assert.equal(parse(bytes.subarray(0, end)), 'malformed', `cut at ${end}`);
  assert.equal(parse(bytes, Buffer.of(0)), 'malformed', 'more at the end');
  assert.equal(parse(Buffer.of(1), bytes.subarray(1)), 'malformed', 'version 1');
  const [id, end] = [bytes.subarray(1, 69), Buffer.of(0)];
  const signature = bytes.subarray(-34);
  const of = (...caveats) => [Buffer.of(2), id, end, ...caveats, end, signature];
  assert.equal(parse(...of()), '');
  assert.equal(parse(...of(Buffer.of(2, 1, 97, 0))), '', 'a caveat without a condition');
  assert.equal(parse(...of(Buffer.of(1, 1, 97, 2, 1, 97, 0))), 'malformed', "a third party's location");
  assert.equal(parse(...of(Buffer.of(2, 1, 97, 4, 1, 97, 0))), 'malformed', "a third party's key");
  assert.equal(parse(...of(...Array(64).fill(Buffer.of(2, 1, 97, 0)))), '');
  assert.equal(parse(...of(...Array(65).fill(Buffer.of(2, 1, 97, 0)))), 'malformed', '65 caveats');
  assert.equal(parse(...of(Buffer.of(2, ...Array(10).fill(0xff), 1))), 'malformed', 'an endless length');
  assert.equal(parse(Buffer.of(2), Buffer.of(2, 66, 0, 1), id.subarray(4), end, end, signature), 'malformed', 'another version of identifier');
});

test('what comes from outside is read or refused', () => {
  const bytes = bytesOf(mint());
  for (let i = 0; i < 5000; i += 1) {
    const changed = Buffer.from(bytes);
    for (let n = crypto.randomInt(1, 4); n > 0; n -= 1) changed[crypto.randomInt(changed.length)] = crypto.randomInt(256);
    if (changed.equals(bytes)) continue;
    const reason = reasonOf(() => l402.verify(key, l402.parseAuthorization(`L402 ${changed.toString('base64')}:${preimage}`)[0], asked));
    assert.match(reason, /^(malformed|bad_signature)$/, changed.toString('hex'));
  }
});

test('a caveat that is no text is signed as it is, and skipped', () => {
  // As another library may add it.
  const raw = Buffer.of(2, 3, 0x61, 0x3d, 0xff, 0);
  const bytes = bytesOf(mint());
  const signature = crypto.createHmac('sha256', bytes.subarray(-32)).update(raw.subarray(2, 5)).digest();
  const narrowed = Buffer.concat([bytes.subarray(0, -35), raw, Buffer.of(0, 6, 32), signature]);
  l402.verify(key, l402.parseAuthorization(`L402 ${narrowed.toString('base64')}:${preimage}`)[0], asked);
});

test('a challenge is read back', () => {
  const headers = l402.challenge(mint(), 'lnbcrt1invoice');
  const [today, older] = headers;
  assert.equal(older, `LSAT macaroon="${token}", invoice="lnbcrt1invoice"`);
  const joined = `Bearer realm="x", ${headers.join(', ')}`;
  const forms = [today, older, headers, joined, `l402 token="${token}",invoice="lnbcrt1invoice"`, { 'www-authenticate': joined }, new Headers({ 'www-authenticate': joined })];
  for (const form of forms) {
    const { macaroon, invoice } = l402.parseChallenge(form);
    assert.deepEqual([String(macaroon), invoice], [token, 'lnbcrt1invoice']);
  }
  for (const none of ['', 'L402', 'Bearer realm="x"', 'L402 token="!", invoice="a"', `L402 token="${token}"`, undefined, {}, new Headers()]) {
    assert.equal(reasonOf(() => l402.parseChallenge(none)), 'no_challenge', String(none));
  }
});

test('what cannot be minted', () => {
  const bad = {
    'a withdrawal': { chargeId: 'wd_01m829m1ezf6p8497reqzrs9mv' },
    'no id': { chargeId: '' },
    'beyond 128 bits': { chargeId: 'ch_z1m829m1ezf6p8497reqzrs9mv' },
    'no hash': { paymentHash: 'ab' },
    long: { caveats: [`s_resource=${'x'.repeat(9000)}`] },
    'many caveats': { caveats: Array(65).fill('a=b') },
    'no condition': { caveats: ['=b'] },
    'no text': { caveats: ['a=\ud800'] },
    'no caveat': { caveats: [undefined] },
  };
  for (const [name, change] of Object.entries(bad)) {
    assert.throws(() => l402.mint(key, { chargeId, paymentHash, caveats: [], ...change }), TypeError, name);
  }
});

test('keys are hex, and no log shows a secret', () => {
  for (const bad of [undefined, '', 'ab', 'zz'.repeat(32), 'ab'.repeat(33)]) {
    assert.throws(() => l402.mint(bad, { chargeId, paymentHash }), (error) => error instanceof TypeError && !error.message.includes('ab'));
  }
  assert.equal(String(l402.mint(` ${key}\n`, { chargeId, paymentHash, caveats: vectors.caveats })), token);
  const all = { macaroon: mint(), credential: credential(mint()) };
  const logged = inspect(all, { depth: 9, showHidden: true }) + JSON.stringify(all);
  for (const secret of [preimage, token, token.slice(-20)]) assert.ok(!logged.includes(secret), logged);
  assert.throws(() => credential(mint(), 'zz'), (error) => !error.message.includes('zz'));
  assert.throws(() => credential(token), TypeError);
});
