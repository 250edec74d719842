'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const http = require('node:http');
const net = require('node:net');
const test = require('node:test');
const { LNTPay, MemoryUses, l402 } = require('../index.js');
const { json, listen, problem, serve, silence } = require('./server.js');

const key = '01'.repeat(32);
const oldKey = '02'.repeat(32);
const preimage = '03'.repeat(32);
const paymentHash = crypto.createHash('sha256').update(Buffer.from(preimage, 'hex')).digest('hex');
const chargeId = 'ch_01m829m1ezf6p8497reqzrs9mv';
const resource = 'GET /forecast';

/** A charge as LNTPay answers it, always of the same payment. */
function charge(request, response) {
  const { amount_msat: amount } = JSON.parse(request.body);
  json(201, { id: chargeId, payment_hash: paymentHash, amount_msat: amount, bolt11: 'lnbcrt1invoice', expires_at: '2027-01-15T08:10:00Z' })(request, response);
}

const ok = (req, res) => res.end('sunny');

/** LNTPay that answers by steps, and a gate on bare node:http before a handler. */
async function gated(t, options, { steps = Array(20).fill(charge), handler = ok } = {}) {
  const { lntpay, requests } = await serve(t, ...steps);
  const errors = [];
  const gate = lntpay.gate({ key, price: 21_000, onError: (error) => errors.push(error), ...options });
  const url = await listen(t, (req, res) => gate(req, res, () => handler(req, res)));
  return { url, requests, errors, gate, lntpay };
}

/** A token as the gate mints it, but for a change. */
function token({ mintedBy = key, secret = preimage, seconds = 60, attenuate = [], ...change } = {}) {
  const validUntil = new Date(Date.now() + seconds * 1000);
  const caveats = l402.caveats({ service: 'lntpay', resource, validUntil, amountMsat: 21_000, ...change });
  const macaroon = l402.mint(mintedBy, { chargeId: change.chargeId ?? chargeId, paymentHash, caveats }).attenuate(...attenuate);
  return String(new l402.Credential(macaroon, secret));
}

const ask = (url, authorization, path = '/forecast', init = {}) => fetch(url + path, { ...init, headers: { ...(authorization && { authorization }), ...init.headers } });

/** Reads a problem, and the header that all of them have. */
async function problemOf(response) {
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  assert.equal(response.headers.get('cache-control'), 'no-store');
  assert.equal(response.headers.get('payment-receipt'), null);
  const body = await response.json();
  assert.equal(body.status, response.status);
  return body;
}

test('without a token an invoice is offered, and with the token it opens', async (t) => {
  const payments = [];
  const { url, requests } = await gated(t, {}, { handler: (req, res) => { payments.push(req.payment); ok(req, res); } });
  const before = Date.now();
  const response = await ask(url, undefined, '/forecast?day=2');
  assert.equal(response.status, 402);
  const body = await problemOf(response);
  const { macaroon, invoice } = l402.parseChallenge(response.headers);
  assert.equal(response.headers.get('www-authenticate'), l402.challenge(macaroon, invoice).join(', '));
  const { detail, ...rest } = body;
  assert.match(detail, /./);
  assert.deepEqual(rest, {
    type: 'about:blank', title: 'Payment Required', status: 402, code: 'payment_required', amount_msat: 21_000, invoice: 'lnbcrt1invoice',
    macaroon: String(macaroon), expires_at: '2027-01-15T08:10:00Z', charge_id: chargeId,
  });
  const [{ method, url: path, body: sent }] = requests;
  assert.equal(`${method} ${path}`, 'POST /v1/charges');
  assert.deepEqual(JSON.parse(sent), {
    amount_msat: 21_000, description: resource, metadata: { l402_service: 'lntpay', l402_resource: resource }, expires_in: 600,
  });

  const opened = await ask(url, String(new l402.Credential(macaroon, preimage)), '/forecast?day=3');
  assert.deepEqual([opened.status, await opened.text()], [200, 'sunny']);
  const receipt = JSON.parse(Buffer.from(opened.headers.get('payment-receipt'), 'base64url').toString());
  assert.ok(Date.parse(receipt.timestamp) >= before);
  assert.deepEqual({ ...receipt, timestamp: 0 }, { method: 'lightning', challengeId: chargeId, reference: paymentHash, status: 'success', timestamp: 0 });
  const [{ validUntil, caveats, ...payment }] = payments;
  assert.deepEqual(payment, { chargeId, paymentHash, amountMsat: 21_000, service: 'lntpay', resource });
  assert.ok(Math.abs(validUntil - before - 3_600_000) < 5000);
  const end = String(validUntil / 1000);
  assert.deepEqual(caveats.map(({ condition, value }) => `${condition}=${value}`),
    ['services=lntpay:0', `lntpay_resource=${resource}`, `lntpay_valid_until=${end}`, 'lntpay_amount_msat=21000']);
  assert.equal(requests.length, 1, 'a token is judged without LNTPay');
});

test('the two challenges are headers of their own', async (t) => {
  const { url } = await gated(t, {});
  const [, headers] = await raw(url, 'GET /forecast HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  assert.deepEqual(headers.filter((line) => /^www-authenticate/i.test(line)).map((line) => line.slice(18, 22)), ['L402', 'LSAT']);
});

/** Sends bytes, and returns the status line and headers of the answer. */
function raw(url, text) {
  return new Promise((resolve, reject) => {
    let answer = '';
    const { port } = new URL(url);
    net.connect(port, '127.0.0.1').on('error', reject).on('data', (data) => { answer += data; })
      .on('close', () => resolve([answer.split('\r\n')[0], answer.split('\r\n\r\n')[0].split('\r\n').slice(1)])).write(text);
  });
}

for (const [name, make, status, reason] of [
  ['expired', () => token({ seconds: 0 }), 402, 'expired'],
  ['of another resource', () => token({ resource: 'GET /admin' }), 402, 'wrong_resource'],
  ['of another service', () => token({ service: 'news' }), 402, 'wrong_service'],
  ['underpaid', () => token({ amountMsat: 20_999 }), 402, 'underpaid'],
  ['overpaid', () => token({ amountMsat: 21_001 }), 200],
  ['widened', () => token({ attenuate: ['lntpay_amount_msat=22000'] }), 402, 'widened'],
  ['narrowed', () => token({ attenuate: ['colour=blue'] }), 200],
  ['of an old key', () => token({ mintedBy: oldKey }), 200],
  ['of an old key, and expired', () => token({ mintedBy: oldKey, seconds: 0 }), 402, 'expired'],
  ['of another key', () => token({ mintedBy: '04'.repeat(32) }), 401, 'bad_signature'],
  ['not paid', () => token({ secret: '00'.repeat(32) }), 401, 'wrong_preimage'],
  ['malformed', () => 'L402 %%%:', 401, 'malformed'],
  ['of the former name', () => token().replace('L402', 'lsat'), 200],
  ['Bearer', () => 'Bearer abc', 402],
]) {
  test(`a token that is ${name} is answered ${status}`, async (t) => {
    const { url, requests } = await gated(t, { oldKeys: [oldKey] });
    const response = await ask(url, make());
    assert.equal(response.status, status);
    assert.equal(requests.length, status === 402 ? 1 : 0, 'charges made');
    if (status === 200) return;
    const body = await problemOf(response);
    assert.equal(body.reason, reason);
    assert.equal(body.code, status === 402 ? 'payment_required' : 'invalid_token');
    if (status === 401) assert.equal(response.headers.get('www-authenticate'), 'L402');
  });
}

test('a token beside Bearer, and in a header of its own', async (t) => {
  const { url } = await gated(t, {});
  const get = (...lines) => raw(url, ['GET /forecast HTTP/1.1', 'host: a', 'connection: close', ...lines, '', ''].join('\r\n'));
  for (const lines of [['authorization: Bearer abc', `authorization: ${token()}`], [`authorization: ${token()}`, 'authorization: Bearer abc']]) {
    assert.match((await get(...lines))[0], / 200 /);
  }
  const macaroon = Buffer.from(token({ attenuate: [`preimage=${preimage}`] }).slice(5).split(':')[0], 'base64').toString('hex');
  assert.match((await get('authorization: Bearer abc', `grpc-metadata-macaroon: ${macaroon}`))[0], / 200 /);
});

test('of several tokens one must be good, and else the best counts', async (t) => {
  const { url } = await gated(t, {});
  const macaroons = (...tokens) => `L402 ${tokens.map((one) => one.slice(5).split(':')[0]).join(',')}:${preimage}`;
  assert.equal((await ask(url, macaroons(token({ mintedBy: oldKey }), token({ seconds: 0 }), token()))).status, 200);
  const response = await ask(url, macaroons(token({ mintedBy: oldKey }), token({ seconds: 0 }), token({ mintedBy: oldKey })));
  assert.equal((await problemOf(response)).reason, 'expired');
});

test('a preimage that is a caveat is not told to the handler', async (t) => {
  let payment;
  const { url } = await gated(t, {}, { handler: (req, res) => { payment = req.payment; ok(req, res); } });
  await ask(url, token({ amountMsat: 30_000, attenuate: ['lntpay_amount_msat=21000', `preimage=${preimage}`, 'colour=blue'] }));
  assert.equal(payment.amountMsat, 30_000, 'what it has cost, however narrowed');
  assert.ok(!JSON.stringify(payment).includes(preimage));
  assert.deepEqual(payment.caveats.at(-1), { condition: 'colour', value: 'blue' });
});

for (const [name, price] of Object.entries({
  'a number': 2000, 'a bigint': 2000n, 'a function': () => 2000, 'a function of bigint': () => 2000n, 'a promise': async (req) => (req.url === '/forecast' ? 2000 : 1),
})) {
  test(`the price may be ${name}`, async (t) => {
    const { url, requests } = await gated(t, { price });
    assert.equal((await problemOf(await ask(url))).amount_msat, 2000);
    assert.equal(JSON.parse(requests[0].body).amount_msat, 2000);
    assert.equal((await ask(url, token({ amountMsat: 2000 }))).status, 200);
    assert.equal((await ask(url, token({ amountMsat: 1999 }))).status, 402);
  });
}

test('the price may be in sats, and nothing', async (t) => {
  const { url } = await gated(t, { price: undefined, priceSats: 21 });
  assert.equal((await problemOf(await ask(url))).amount_msat, 21_000);
  const free = await gated(t, { price: (req) => (req.method === 'OPTIONS' ? 0 : 1000) });
  const response = await ask(free.url, undefined, '/forecast', { method: 'OPTIONS' });
  assert.deepEqual([response.status, response.headers.get('payment-receipt')], [200, null]);
  assert.equal((await ask(free.url)).status, 402);
});

test('a price that fails opens nothing', async (t) => {
  const failed = new Error('no price');
  for (const price of [() => { throw failed; }, () => Promise.reject(failed), () => 1.5, () => -1, () => NaN, () => '21', () => 2n ** 60n, () => undefined]) {
    const { url, gate, errors, requests } = await gated(t, { price });
    const response = await ask(url, token());
    assert.equal(response.status, 500);
    assert.equal((await problemOf(response)).code, 'internal_error');
    assert.equal(errors.length, 1);
    assert.equal(requests.length, 0);
    // Where next takes an error, it gets it.
    const passed = [];
    await gate({ method: 'GET', url: '/', headers: {} }, {}, (error) => passed.push(error));
    assert.ok(passed.length === 1 && passed[0] instanceof Error);
  }
});

test('what is sold can be configured', async (t) => {
  const { url, requests } = await gated(t, {
    service: 'weather', resource: async (req) => `day ${new URL(req.url, 'http://a').searchParams.get('day')}`, description: () => 'ä'.repeat(400),
    metadata: (req) => ({ path: req.url, l402_service: 'mine' }), capabilities: ['read', 'write'], capability: () => 'read', lifetime: 120,
  });
  const { macaroon } = l402.parseChallenge((await ask(url, undefined, '/forecast?day=2')).headers);
  const [services, sold, end, cost, capabilities] = macaroon.caveats.map(({ condition, value }) => `${condition}=${value}`);
  assert.deepEqual([services, sold, cost, capabilities],
    ['services=weather:0', 'weather_resource=day 2', 'weather_amount_msat=21000', 'weather_capabilities=read,write']);
  assert.ok(Math.abs(Number(end.split('=')[1]) - Date.now() / 1000 - 120) < 5);
  assert.deepEqual(JSON.parse(requests[0].body), {
    amount_msat: 21_000, description: 'ä'.repeat(319), metadata: { path: '/forecast?day=2', l402_service: 'weather', l402_resource: 'day 2' }, expires_in: 60,
  });
  const writer = token({ service: 'weather', resource: 'day 2', attenuate: ['weather_capabilities=write'] });
  assert.equal((await problemOf(await ask(url, writer, '/forecast?day=2'))).reason, 'wrong_capability');
});

test('invoices end before the token', async (t) => {
  for (const [options, want] of [[{ lifetime: 60 }, 60], [{ lifetime: 300 }, 150], [{ lifetime: 86_400 }, 600], [{ invoiceExpiry: 900 }, 900]]) {
    const { url, requests } = await gated(t, options);
    await ask(url);
    assert.equal(JSON.parse(requests[0].body).expires_in, want);
  }
});

test('a mistake is found when the gate is made', () => {
  const lntpay = new LNTPay({ apiKey: 'k', baseUrl: 'http://127.0.0.1:1' });
  for (const change of [
    { key: '' }, { key: 'ab' }, { oldKeys: ['zz'] }, { service: 'a=b' }, { service: '' }, { price: undefined }, { priceSats: 1 }, { price: 1.5 }, { price: -1 },
    { price: undefined, priceSats: 0.5 }, { price: 2n ** 53n }, { lifetime: 0 }, { lifetime: 59 }, { lifetime: '1h' }, { invoiceExpiry: 59 }, { lifetime: 600, invoiceExpiry: 601 },
    { maxMinting: 0 }, { uses: {} }, { capabilities: ['a,b'] }, { resource: '/forecast' }, { onError: 1 },
  ]) {
    assert.throws(() => lntpay.gate({ key, price: 1000, ...change }), (error) => error instanceof TypeError && !error.message.includes(key), JSON.stringify(change, (_, value) => String(value)));
  }
  process.env.LNTPAY_L402_KEY = key;
  assert.equal(typeof lntpay.gate({ price: 1 }), 'function');
  delete process.env.LNTPAY_L402_KEY;
  assert.throws(() => lntpay.gate({ price: 1 }), /LNTPAY_L402_KEY/);
});

test('a capability that nobody can buy is a mistake', async (t) => {
  const { url, errors, requests } = await gated(t, { capabilities: ['read'], capability: () => 'write' });
  assert.equal((await ask(url)).status, 500);
  assert.deepEqual([errors.length, requests.length], [1, 0]);
});

for (const [name, step, retryAfter] of [
  ['is away', problem(503, 'service_unavailable', { 'retry-after': '0' }), '1'],
  ['limits', problem(429, 'rate_limited', { 'retry-after': '61' }), '61'],
  ['refuses the key', problem(401, 'unauthorized'), '1'],
  ['answers nonsense', json(201, { id: 'x' }), '1'],
  ['makes no invoice', json(201, { id: chargeId, payment_hash: paymentHash }), '1'],
]) {
  test(`when LNTPay ${name}, what is paid for opens and the rest is told to come again`, async (t) => {
    const { url, errors } = await gated(t, {}, { steps: [step, step] });
    const response = await ask(url);
    assert.deepEqual([response.status, response.headers.get('retry-after')], [503, retryAfter]);
    const body = await problemOf(response);
    assert.equal(body.code, 'service_unavailable');
    assert.doesNotMatch(body.detail, /Detail of/, 'what LNTPay says is for the operator');
    assert.ok(errors[0].cause, 'who is told');
    assert.equal((await ask(url, token())).status, 200);
  });
}

test('no more charges are in the making than allowed', async (t) => {
  const { url, requests, errors } = await gated(t, { maxMinting: 2 }, { steps: [silence, silence, charge] });
  const controller = new AbortController();
  const waiting = [1, 2].map(() => ask(url, undefined, '/forecast', { signal: controller.signal }).catch(() => {}));
  while (requests.length < 2) await new Promise(setImmediate);
  const response = await ask(url);
  assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '1']);
  assert.deepEqual([requests.length, errors.length], [2, 0]);
  controller.abort();
  await Promise.all(waiting);
});

test('a long address is refused before it costs anything', async (t) => {
  const { url, requests } = await gated(t, {});
  assert.equal((await ask(url, undefined, `/${'x'.repeat(1019)}`)).status, 402);
  const response = await ask(url, undefined, `/${'x'.repeat(1020)}`);
  assert.equal(response.status, 414);
  await problemOf(response);
  assert.equal(requests.length, 1);
  const { metadata, description } = JSON.parse(requests[0].body);
  assert.deepEqual([metadata.l402_resource.length, description.length], [500, 639]);
});

test('the resource is what the client asked for', async (t) => {
  const { url, requests } = await gated(t, {});
  for (const [target, want] of [
    ['/a/%2e%2e/b?c#d', '/a/%2e%2e/b'], ['//b/c', '//b/c'], ['http://host/a/../b?c', '/a/../b'], ['http://host', '/'], ['/A%2FB/', '/A%2FB/'],
    ['http://host?a=/b', '/'], ['/a#b', '/a#b'],
  ]) {
    assert.match((await raw(url, `GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`))[0], / 402 /);
    assert.equal(JSON.parse(requests.at(-1).body).metadata.l402_resource, `GET ${want}`);
  }
});

test('HEAD is a resource of its own, and its 402 has no body', async (t) => {
  const { url } = await gated(t, {});
  const response = await ask(url, token(), '/forecast', { method: 'HEAD' });
  assert.deepEqual([response.status, await response.text()], [402, '']);
});

/**
 * The part of Express that matters here, since the SDK has no packages: mounts that take their path off req.url and keep
 * req.originalUrl, and next(err), which ends in a 500.
 */
function router(...layers) {
  return (req, res) => {
    req.originalUrl = req.url;
    const left = [...layers];
    (function next(error) {
      if (error) return void res.writeHead(500).end(error.message);
      const [mount, layer] = left.shift() ?? [];
      if (!layer) return void res.writeHead(404).end();
      if (!req.originalUrl.startsWith(mount)) return void next();
      req.url = req.originalUrl.slice(mount.length) || '/';
      return void layer(req, res, next);
    }());
  };
}

test('under a mount of Express a token opens that mount only', async (t) => {
  const { lntpay, requests } = await serve(t, charge, charge);
  const gate = lntpay.gate({ key, price: 21_000 });
  const url = await listen(t, router(['/a', gate], ['/a', (req, res) => res.end(`a ${req.url}`)], ['/b', gate], ['/b', ok]));
  const { macaroon } = l402.parseChallenge((await ask(url, undefined, '/a/forecast')).headers);
  assert.equal(JSON.parse(requests[0].body).metadata.l402_resource, 'GET /a/forecast');
  const paid = String(new l402.Credential(macaroon, preimage));
  assert.equal(await (await ask(url, paid, '/a/forecast')).text(), 'a /forecast');
  assert.equal((await problemOf(await ask(url, paid, '/b/forecast'))).reason, 'wrong_resource');
});

test('Express answers what fails', async (t) => {
  const { lntpay } = await serve(t);
  const gate = lntpay.gate({ key, price: async () => { throw new Error('no price'); } });
  const response = await ask(await listen(t, router(['/', gate], ['/', ok])), token());
  assert.deepEqual([response.status, await response.text()], [500, 'no price']);
});

test('a stream passes as it comes', async (t) => {
  let finish;
  const { url } = await gated(t, { once: true }, {
    handler: (req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write('data: 1\n\n');
      finish = () => res.end('data: 2\n\n');
    },
  });
  const response = await ask(url, token());
  const reader = response.body.getReader();
  assert.equal(Buffer.from((await reader.read()).value).toString(), 'data: 1\n\n');
  finish();
  assert.equal(Buffer.from((await reader.read()).value).toString(), 'data: 2\n\n');
  assert.ok((await reader.read()).done);
  assert.equal((await problemOf(await ask(url, token()))).reason, 'used');
});

test('once: of a hundred requests with a token one is let through', async (t) => {
  for (const uses of [undefined, slow(new MemoryUses())]) {
    let served = 0;
    const { url } = await gated(t, { once: true, uses }, { steps: Array(100).fill(charge), handler: (req, res) => { served += 1; ok(req, res); } });
    // Narrowed tokens are the same token.
    const tokens = Array.from({ length: 100 }, (_, i) => token({ attenuate: i % 2 ? [`colour=${i}`] : [] }));
    const statuses = await Promise.all(tokens.map(async (one) => (await ask(url, one)).status));
    assert.equal(statuses.filter((status) => status === 200).length, 1);
    assert.ok(statuses.every((status) => [200, 402, 503].includes(status)), statuses.join());
    assert.equal(served, 1);
  }
});

/** A store that is asked over a network. */
function slow(uses) {
  const later = (call) => async (...args) => {
    await new Promise(setImmediate);
    return call(...args);
  };
  return { take: later((...args) => uses.take(...args)), giveBack: later((...args) => uses.giveBack(...args)) };
}

test('once: a shared store makes several gates one', async (t) => {
  const uses = slow(new MemoryUses());
  const gates = await Promise.all([1, 2].map(() => gated(t, { once: true, uses })));
  const statuses = await Promise.all(gates.map(async ({ url }) => (await ask(url, token())).status));
  assert.deepEqual(statuses.sort(), [200, 402]);
});

for (const [name, fail] of Object.entries({
  'answers 500': (req, res) => res.writeHead(500).end(),
  'answers 503 without writeHead': (req, res) => { res.statusCode = 503; res.end('later'); },
})) {
  test(`once: a handler that ${name} is not charged`, async (t) => {
    const handlers = [fail, fail, ok];
    const memory = new MemoryUses();
    const gaveBack = [];
    const uses = { take: (...args) => memory.take(...args), giveBack: (id) => { memory.giveBack(id); gaveBack.shift()?.(); } };
    const { url } = await gated(t, { once: true, uses }, { handler: (req, res) => handlers.shift()(req, res) });
    for (let i = 0; i < 2; i += 1) {
      const back = new Promise((resolve) => gaveBack.push(resolve));
      await ask(url, token()).catch(() => {});
      await back;
    }
    assert.equal((await ask(url, token())).status, 200);
    assert.equal((await ask(url, token())).status, 402);
  });
}

test('once: a client that leaves before the answer has used its token, since the handler runs', async (t) => {
  let runs = 0;
  const controller = new AbortController();
  const closed = deferred();
  const handler = (req, res) => {
    runs += 1;
    res.on('close', closed.resolve);
    controller.abort();
  };
  const { url } = await gated(t, { once: true }, { handler });
  await assert.rejects(ask(url, token(), '/forecast', { signal: controller.signal }));
  await closed.promise;
  assert.equal((await problemOf(await ask(url, token()))).reason, 'used');
  assert.equal(runs, 1);
});

test('once: a handler that throws after its client has left gives back', async (t) => {
  const { lntpay } = await serve(t);
  const gate = lntpay.gate({ key, price: 21_000, once: true });
  const controller = new AbortController();
  const failed = deferred();
  const handlers = [async (req, res) => {
    const closed = new Promise((resolve) => { res.on('close', resolve); });
    controller.abort();
    await closed;
    throw new Error('handler');
  }, ok];
  const url = await listen(t, (req, res) => gate(req, res, () => handlers.shift()(req, res)).catch(failed.resolve));
  await assert.rejects(ask(url, token(), '/forecast', { signal: controller.signal }));
  await failed.promise;
  assert.equal((await ask(url, token())).status, 200);
});

test('once: a client that leaves while the store is asked keeps its token, and the handler does not run', async (t) => {
  const memory = new MemoryUses();
  const controller = new AbortController();
  const { promise: back, resolve: gaveBack } = deferred();
  const calls = [];
  const uses = {
    async take(...args) {
      const first = memory.take(...args);
      if (calls.push('take') === 1) {
        controller.abort();
        await closed.promise;
      }
      return first;
    },
    giveBack(id) { memory.giveBack(id); gaveBack(); },
  };
  const closed = deferred();
  const { lntpay } = await serve(t);
  const gate = lntpay.gate({ key, price: 21_000, once: true, uses });
  const url = await listen(t, (req, res) => {
    res.on('close', closed.resolve);
    gate(req, res, () => { calls.push('handler'); res.end(); });
  });
  await assert.rejects(ask(url, token(), '/forecast', { signal: controller.signal }));
  await back;
  assert.deepEqual(calls, ['take']);
  assert.equal((await ask(url, token())).status, 200);
});

function deferred() {
  const made = {};
  made.promise = new Promise((resolve) => { made.resolve = resolve; });
  return made;
}

test('once: a handler that throws or rejects gives back, and its error is not swallowed', async (t) => {
  const { lntpay } = await serve(t);
  const gate = lntpay.gate({ key, price: 21_000, once: true });
  const failed = new Error('handler');
  const request = () => ({ method: 'GET', url: '/forecast', headers: { authorization: token() } });
  const response = () => Object.assign(new http.ServerResponse({ method: 'GET' }));
  await assert.rejects(gate(request(), response(), () => { throw failed; }), failed);
  await assert.rejects(gate(request(), response(), async () => { throw failed; }), failed);
  let runs = 0;
  const used = response();
  await gate(request(), used, () => { runs += 1; used.writeHead(200); });
  assert.equal(runs, 1);
});

test('once: what has been answered in part is not given back', async (t) => {
  const { url } = await gated(t, { once: true }, { handler: (req, res) => { res.writeHead(200); res.write('half', () => res.destroy()); } });
  await assert.rejects(ask(url, token()).then((response) => response.text()));
  assert.equal((await problemOf(await ask(url, token()))).reason, 'used');
  const { lntpay } = await serve(t, charge);
  const gate = lntpay.gate({ key, price: 21_000, once: true });
  const thrower = await listen(t, (req, res) => gate(req, res, () => { res.writeHead(200); throw new Error('half'); }).catch(() => res.end()));
  assert.equal((await ask(thrower, token())).status, 200);
  assert.equal((await problemOf(await ask(thrower, token()))).reason, 'used');
});

test('once: a store that answers too late opens nothing, and gets the use back', { timeout: 20_000 }, async (t) => {
  const taken = deferred();
  const gaveBack = deferred();
  const { url } = await gated(t, { once: true, uses: { take: () => taken.promise, giveBack: gaveBack.resolve } });
  assert.equal((await ask(url, token())).status, 503);
  taken.resolve(true);
  await gaveBack.promise;
});

test('once: a store that fails opens nothing', async (t) => {
  const { url, errors } = await gated(t, { once: true, uses: { take: async () => { throw new Error('redis'); }, giveBack() {} } });
  const response = await ask(url, token());
  assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '1']);
  assert.equal(errors[0].cause.message, 'redis');
  const refusing = await gated(t, { once: true, uses: { take: async () => true, giveBack: async () => { throw new Error('redis'); } } },
    { handler: (req, res) => res.writeHead(500).end() });
  assert.equal((await ask(refusing.url, token())).status, 500);
  while (refusing.errors.length === 0) await new Promise(setImmediate);
});

test('once: who narrows the end of a token cannot use it again after that', async (t) => {
  const ends = [];
  const { url } = await gated(t, { once: true, uses: { take: (_, until) => ends.push(+until) > 0, giveBack() {} } });
  const now = Math.floor(Date.now() / 1000);
  await ask(url, token({ seconds: 3600, attenuate: [`lntpay_valid_until=${now + 60}`] }));
  assert.ok(ends[0] >= (now + 3600) * 1000);
});

test('the memory is bounded, and forgets what has ended', (t) => {
  const { now } = Date;
  t.after(() => { Date.now = now; });
  let clock = 1_800_000_000_000;
  Date.now = () => clock;
  const at = (seconds) => new Date(clock + seconds * 1000);
  const uses = new MemoryUses(3);
  assert.ok(uses.take('long', at(3600)));
  assert.ok(uses.take('a', at(10)));
  assert.ok(uses.take('b', at(20)));
  assert.equal(uses.take('a', at(10)), false);
  assert.throws(() => uses.take('c', at(10)), /full/);
  clock += 11_000;
  assert.ok(uses.take('c', at(10)), 'a has ended');
  assert.throws(() => uses.take('d', at(10)), /full/, 'b has not');
  clock += 10_000;
  assert.ok(uses.take('d', at(10)));
  assert.equal(uses.take('long', at(3600)), false);
  uses.giveBack('long');
  assert.ok(uses.take('long', at(3600)));
});

test('a full memory is a 503, and nothing is admitted twice', async (t) => {
  const { url } = await gated(t, { once: true, uses: new MemoryUses(1) });
  assert.equal((await ask(url, token())).status, 200);
  assert.equal((await ask(url, token({ chargeId: 'ch_01m829m1ezf6p8497reqzrs9mw' }))).status, 503);
  assert.equal((await ask(url, token())).status, 402);
});

test('an answer that another middleware has given is left alone', async (t) => {
  const { lntpay } = await serve(t, charge);
  let ran = false;
  const gate = lntpay.gate({ key, price: async (req) => req.timedOut });
  const url = await listen(t, (req, res) => {
    req.timedOut = new Promise((resolve) => {
      res.on('finish', () => resolve(21_000));
    });
    gate(req, res, () => { ran = true; });
    res.writeHead(504).end();
  });
  assert.equal((await ask(url, token())).status, 504);
  await new Promise(setImmediate);
  assert.equal(ran, false);
});
