'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const test = require('node:test');
const { LNTPay, l402 } = require('../index.js');
const mutations = require('../../testdata/l402_mutations.json');
const vectors = require('../../testdata/l402.json');
const { serve, json } = require('./server.js');

/** A seeded generator (mulberry32): LNTPAY_JS_SEED repeats a run. */
const seed = Number(process.env.LNTPAY_JS_SEED ?? crypto.randomInt(2 ** 31));
function generator() {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** A text of what parsers stumble over. */
function textOf(random) {
  const pieces = ['a', 'ä', '\u2028', '\u{1f600}', '"', '\\', ':', ' ', '\n\n', '\r', 'data: x', '\u0000', '{', ','];
  return Array.from({ length: random(12) }, () => pieces[random(pieces.length)]).join('');
}

test(`tokens that were changed at random are judged as by Go (seed ${seed})`, () => {
  const asked = { service: 'weather', resource: 'GET /forecast', amountMsat: 21_000, now: new Date(1_800_000_000_000) };
  for (const { authorization, reason } of mutations) {
    let got = '';
    try {
      l402.verify(vectors.key, l402.parseAuthorization(authorization)[0], asked);
    } catch (error) {
      assert.ok(error instanceof l402.L402Error, error);
      got = error.reason;
    }
    assert.equal(got, reason, authorization);
  }
});

test(`only what was signed is genuine, to the bit (seed ${seed})`, () => {
  const random = generator();
  const { webhooks } = new LNTPay();
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  for (let round = 0; round < 500; round += 1) {
    const body = Buffer.from(JSON.stringify({ id: `evt_${round}`, text: textOf(random) }));
    const id = `evt_${random(1000)}`;
    const timestamp = String(Math.floor(Date.now() / 1000));
    const mac = crypto.createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
    const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${mac}` };
    const plain = crypto.createHmac('sha256', secret).update(body).digest('hex');
    assert.deepEqual(webhooks.verify(body, headers, secret), JSON.parse(body));
    assert.deepEqual(webhooks.verify(body, plain, secret), JSON.parse(body));
    const flipped = (value) => {
      const bytes = Buffer.from(value);
      bytes[random(bytes.length)] ^= 1 << random(7); // What is text stays ASCII.
      return bytes;
    };
    const refused = (error) => error.code === 'invalid_signature';
    const changed = flipped(body);
    assert.throws(() => webhooks.verify(changed, headers, secret), refused);
    assert.throws(() => webhooks.verify(changed, plain, secret), refused);
    assert.throws(() => webhooks.verify(body, flipped(plain).toString(), secret), refused);
    for (const name of Object.keys(headers)) {
      assert.throws(() => webhooks.verify(body, { ...headers, [name]: flipped(headers[name]).toString() }, secret), refused, name);
    }
  }
});

test(`events come out of a stream however its bytes are cut (seed ${seed})`, async (t) => {
  const random = generator();
  const events = Array.from({ length: 200 }, (_, i) => ({
    id: `evt_${i}`, object: 'event', type: 'charge.paid', sequence: 11 + i, data: { object: { text: textOf(random) } },
  }));
  const text = events.map((event) => {
    const end = ['\n', '\r\n', '\r'][random(3)];
    const comment = random(3) === 0 ? `: ${end}${end}` : '';
    return `${comment}id: ${event.id}${end}event: ${event.type}${end}data:${random(2) ? ' ' : ''}${JSON.stringify(event)}${end}${end}`;
  }).join('');
  const bytes = Buffer.from(`retry: 1000\n\n${text}`);
  const { lntpay } = await serve(t,
    json(200, { object: 'list', data: [{ ...events[0], id: 'evt_x', sequence: 10 }], has_more: false, next_cursor: null }),
    async (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let at = 0; at < bytes.length;) {
        const next = Math.min(bytes.length, at + 1 + random(90));
        response.write(bytes.subarray(at, next));
        at = next;
        if (random(4) === 0) await new Promise(setImmediate);
      }
    });
  const got = [];
  for await (const event of lntpay.events.stream()) {
    got.push(event);
    if (got.length === events.length) break;
  }
  assert.deepEqual(got, events);
});
