'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { LNTPay, LNTPayError } = require('../index.js');
const { serve, json, problem, cut, cutInside, silence } = require('./server.js');

const keyOf = ({ headers }) => headers['idempotency-key'];

/** Awaits a call that must fail, and returns its error. */
async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('it did not fail');
}

test('a charge is created', async (t) => {
  const { lntpay, requests } = await serve(t, json(201, { id: 'ch_1', status: 'pending' }));
  assert.deepEqual(await lntpay.charges.create({ amount_sats: 21, metadata: { a: 'b' } }), { id: 'ch_1', status: 'pending' });
  const [{ method, url, headers, body }] = requests;
  assert.equal(`${method} ${url}`, 'POST /v1/charges');
  assert.equal(headers.authorization, 'Bearer lnt_sandbox_test');
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(body, '{"amount_sats":21,"metadata":{"a":"b"}}');
  assert.match(headers['idempotency-key'], /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
});

for (const [name, step] of Object.entries({
  'a 503': problem(503, 'service_unavailable', { 'retry-after': '0' }),
  'a 429': problem(429, 'rate_limited', { 'retry-after': '0' }),
  "a proxy's 502": (_, response) => response.writeHead(502).end('<html>'),
  'a cut connection': cut,
  'an answer cut in the middle': cutInside,
})) {
  test(`${name} is repeated with the same key and body`, async (t) => {
    const { lntpay, requests } = await serve(t, step, step, json(201, { id: 'wd_1' }));
    assert.deepEqual(await lntpay.withdrawals.create({ bolt11: 'lnbcrt1' }), { id: 'wd_1' });
    assert.equal(requests.length, 3);
    assert.equal(new Set(requests.map(keyOf)).size, 1);
    assert.equal(new Set(requests.map(({ body }) => body)).size, 1);
  });
}

test('a silent server is given up and asked again', async (t) => {
  const { lntpay, requests } = await serve(t, silence, json(200, { object: 'balance' }));
  assert.deepEqual(await lntpay.balance.get({ timeoutMs: 100 }), { object: 'balance' });
  assert.equal(requests.length, 2);
});

test('a key of the caller is used, and each call has another without', async (t) => {
  const { lntpay, requests } = await serve(t, json(201, {}), json(201, {}), json(201, {}));
  await lntpay.charges.create({ amount_sats: 1 }, { idempotencyKey: 'order 42' });
  await lntpay.charges.create({ amount_sats: 1 });
  await lntpay.charges.create({ amount_sats: 1 });
  assert.equal(keyOf(requests[0]), 'order 42');
  assert.notEqual(keyOf(requests[1]), keyOf(requests[2]));
  for (const idempotencyKey of ['', 'ä', 'a\nb', 'x'.repeat(256)]) {
    assert.ok((await failure(lntpay.charges.create({ amount_sats: 1 }, { idempotencyKey }))) instanceof TypeError);
  }
  assert.equal(requests.length, 3);
});

test('reads carry no key', async (t) => {
  const { lntpay, requests } = await serve(t, json(200, {}));
  await lntpay.charges.get('ch_1');
  assert.equal(keyOf(requests[0]), undefined);
});

test('repeats are bounded, and the error has the key for another', async (t) => {
  const away = problem(503, 'service_unavailable', { 'retry-after': '0' });
  const { lntpay, requests } = await serve(t, away, away, away, away);
  const error = await failure(lntpay.withdrawals.create({ bolt11: 'lnbcrt1' }, { maxRetries: 2 }));
  assert.equal(error.code, 'service_unavailable');
  assert.equal(requests.length, 3);
  assert.equal(error.idempotencyKey, keyOf(requests[0]));
});

test('a server that is not there is a network_error', async () => {
  const lntpay = new LNTPay({ apiKey: 'k', baseUrl: 'http://127.0.0.1:1', backoffMs: 1, maxRetries: 1 });
  const error = await failure(lntpay.charges.create({ amount_sats: 1 }));
  assert.ok(error instanceof LNTPayError);
  assert.equal(error.code, 'network_error');
  assert.equal(error.status, undefined);
  assert.ok(error.cause);
  assert.ok(error.idempotencyKey);
});

test('Retry-After is waited for', async (t) => {
  const { lntpay } = await serve(t, problem(503, 'service_unavailable', { 'retry-after': '1' }), json(200, {}));
  const began = performance.now();
  await lntpay.balance.get();
  const took = performance.now() - began;
  assert.ok(took >= 990, `${took} ms`);
});

test('Retry-After may be a date', async (t) => {
  const at = new Date(Date.now() + 10 * 60_000).toUTCString();
  const { lntpay } = await serve(t, problem(429, 'rate_limited', { 'retry-after': at }));
  const { retryAfterMs } = await failure(lntpay.balance.get());
  assert.ok(retryAfterMs > 9 * 60_000 && retryAfterMs <= 10 * 60_000, `${retryAfterMs} ms`);
});

test('a long Retry-After is told, not waited for', async (t) => {
  const { lntpay, requests } = await serve(t, problem(429, 'rate_limited', { 'retry-after': '3600' }));
  const error = await failure(lntpay.balance.get());
  assert.equal(error.code, 'rate_limited');
  assert.equal(error.retryAfterMs, 3_600_000);
  assert.equal(requests.length, 1);
});

test('a refusal is an LNTPayError and not repeated', async (t) => {
  const { lntpay, requests } = await serve(t, json(400, {
    type: 'about:blank', title: 'Invalid', status: 400, detail: 'The request is not valid.', code: 'invalid_request', request_id: 'r7',
    errors: [{ field: 'expires_in', message: 'must be 60 to 604800' }],
  }));
  const error = await failure(lntpay.charges.create({ amount_sats: 1, expires_in: 1 }));
  assert.ok(error instanceof LNTPayError && error instanceof Error);
  const { name, code, status, detail, requestId, errors } = error;
  assert.deepEqual({ name, code, status, detail, requestId, errors }, {
    name: 'LNTPayError', code: 'invalid_request', status: 400, detail: 'The request is not valid.', requestId: 'r7',
    errors: [{ field: 'expires_in', message: 'must be 60 to 604800' }],
  });
  assert.match(error.message, /not valid.*expires_in must be/);
  assert.equal(requests.length, 1);
});

for (const status of [409, 422, 500, 501]) {
  test(`a ${status} is final`, async (t) => {
    const { lntpay, requests } = await serve(t, problem(status, 'a_code'));
    const error = await failure(lntpay.withdrawals.create({ bolt11: 'lnbcrt1' }));
    assert.deepEqual([error.code, error.status, error.errors], ['a_code', status, []]);
    assert.equal(requests.length, 1);
  });
}

test('what is not from LNTPay is an unexpected_response', async (t) => {
  const { lntpay } = await serve(t,
    (_, response) => response.writeHead(200).end('<html>'),
    (_, response) => response.writeHead(403, { 'x-request-id': 'r8' }).end('<html>'));
  assert.equal((await failure(lntpay.balance.get())).code, 'unexpected_response');
  const { code, status, requestId } = await failure(lntpay.balance.get());
  assert.deepEqual([code, status, requestId], ['unexpected_response', 403, 'r8']);
});

test('the API key does not follow a redirect', async (t) => {
  const other = await serve(t);
  const { lntpay } = await serve(t, (_, response) => response.writeHead(302, { location: other.baseUrl }).end());
  assert.equal((await failure(lntpay.balance.get())).status, 302);
  assert.equal(other.requests.length, 0);
});

test('a signal ends a request, and the wait for a repeat', async (t) => {
  const { lntpay, requests } = await serve(t, silence, problem(503, 'service_unavailable', { 'retry-after': '30' }));
  for (let i = 0; i < 2; i += 1) {
    const controller = new AbortController();
    const reason = new Error('enough');
    setTimeout(() => controller.abort(reason), 100);
    assert.equal(await failure(lntpay.balance.get({ signal: controller.signal })), reason);
  }
  assert.equal((await failure(lntpay.balance.get({ signal: AbortSignal.abort() }))).name, 'AbortError');
  assert.equal(requests.length, 2);
});

/** The methods and paths that the API describes. */
function described() {
  const text = fs.readFileSync(path.join(__dirname, '../../../api/openapi.yaml'), 'utf8');
  const where = [];
  let at;
  for (const [, route, method] of text.matchAll(/^ {2}(\/\S+):$|^ {4}(get|post|patch|delete):$/gm)) {
    if (route) at = route;
    else if (at.startsWith('/v1/')) where.push(`${method.toUpperCase()} ${at}`);
  }
  return where;
}

test('there is a call for all that api/openapi.yaml describes', async (t) => {
  const calls = {
    'POST /v1/charges': (l) => l.charges.create({ amount_sats: 1 }),
    'GET /v1/charges/ch_1': (l) => l.charges.get('ch_1'),
    'POST /v1/charges/ch_1/cancel': (l) => l.charges.cancel('ch_1'),
    'GET /v1/charges/usage?interval=day&from=2026-01-31T12%3A00%3A00.000Z':
      (l) => l.charges.usage({ interval: 'day', from: new Date('2026-01-31T12:00:00Z'), to: undefined }),
    'GET /v1/charges?status=paid&limit=5': (l) => l.charges.list({ status: 'paid', limit: 5 }),
    'POST /v1/l402/challenges': (l) => l.l402.createChallenge({ amount_sats: 1, resource: 'GET /a' }),
    'POST /v1/l402/verify': (l) => l.l402.verify('L402 a:b', 'GET /a'),
    'DELETE /v1/l402/challenges/ch_1': (l) => l.l402.revoke('ch_1'),
    'POST /v1/withdrawals': (l) => l.withdrawals.create({ bolt11: 'a' }),
    'GET /v1/withdrawals/wd_1': (l) => l.withdrawals.get('wd_1'),
    'GET /v1/withdrawals': (l) => l.withdrawals.list(),
    'POST /v1/withdrawals/quote': (l) => l.withdrawals.quote({ bolt11: 'a' }),
    'GET /v1/balance': (l) => l.balance.get(),
    'GET /v1/ledger/transfers?ref=ch_1': (l) => l.transfers.list({ ref: 'ch_1' }),
    'POST /v1/keys': (l) => l.keys.create({ name: 'a', scopes: ['charges:read'] }),
    'GET /v1/keys': (l) => l.keys.list(),
    'DELETE /v1/keys/key_1': (l) => l.keys.delete('key_1'),
    'POST /v1/webhooks/endpoints': (l) => l.webhooks.endpoints.create({ url: 'https://example.com', events: ['*'] }),
    'GET /v1/webhooks/endpoints/we_1': (l) => l.webhooks.endpoints.get('we_1'),
    'GET /v1/webhooks/endpoints': (l) => l.webhooks.endpoints.list(),
    'PATCH /v1/webhooks/endpoints/we_1': (l) => l.webhooks.endpoints.update('we_1', { status: 'disabled' }),
    'DELETE /v1/webhooks/endpoints/we_1': (l) => l.webhooks.endpoints.delete('we_1'),
    'POST /v1/webhooks/endpoints/we_1/rotate-secret': (l) => l.webhooks.endpoints.rotateSecret('we_1', { overlap_seconds: 0 }),
    'POST /v1/webhooks/endpoints/we_1/test': (l) => l.webhooks.endpoints.test('we_1'),
    'GET /v1/webhooks/deliveries?status=failed': (l) => l.webhooks.deliveries.list({ status: 'failed' }),
    'GET /v1/webhooks/deliveries/dlv_1': (l) => l.webhooks.deliveries.get('dlv_1'),
    'POST /v1/webhooks/deliveries/dlv_1/redeliver': (l) => l.webhooks.deliveries.redeliver('dlv_1'),
    'POST /v1/sandbox/charges/ch_1/pay': (l) => l.sandbox.payCharge('ch_1', { amount_msat: 5 }),
    'POST /v1/sandbox/invoices': (l) => l.sandbox.createInvoice({ amount_sats: 1, behaviour: 'hold' }),
    'POST /v1/sandbox/invoices/sbi_1/release': (l) => l.sandbox.releaseInvoice('sbi_1'),
    'POST /v1/sandbox/invoices/sbi_1/cancel': (l) => l.sandbox.cancelInvoice('sbi_1'),
    'GET /v1/events?type=charge.paid': (l) => l.events.list({ type: 'charge.paid' }),
    'GET /v1/events/evt_1': (l) => l.events.get('evt_1'),
  };
  const routes = Object.keys(calls).map((where) => where.replace(/\?.*/, '').replace(/\w+_1/, '{id}'));
  assert.deepEqual(described().sort(), [...routes, 'GET /v1/events/stream'].sort());
  const { lntpay, requests } = await serve(t, ...Object.keys(calls).map(() => json(200, { done: true })));
  for (const [where, call] of Object.entries(calls)) {
    assert.deepEqual(await call(lntpay), { done: true }, where);
    const { method, url, headers } = requests.at(-1);
    assert.equal(`${method} ${url}`, where);
    assert.equal(method === 'POST', headers['idempotency-key'] !== undefined, where);
  }
});

test('a 204 is nothing, and so is a 404 after a deletion whose answer was lost', async (t) => {
  const gone = (_, response) => response.writeHead(204).end();
  const { lntpay } = await serve(t, gone, cut, problem(404, 'not_found'), problem(404, 'not_found'));
  assert.equal(await lntpay.keys.delete('key_1'), undefined);
  assert.equal(await lntpay.webhooks.endpoints.delete('we_1'), undefined);
  assert.equal((await failure(lntpay.keys.delete('key_1'))).code, 'not_found');
});

test('what is no id is not sent', async (t) => {
  const { lntpay, requests } = await serve(t);
  for (const id of [undefined, null, '', '..', 'ch_1/cancel', 'ch_1?a', 42]) {
    assert.ok((await failure(lntpay.charges.get(id))) instanceof TypeError, String(id));
  }
  assert.equal(requests.length, 0);
});

const page = (data, next) => json(200, { object: 'list', data, has_more: next !== null, next_cursor: next });

test('a list awaited is its first page', async (t) => {
  const { lntpay, requests } = await serve(t, page([{ id: 'ch_2' }], 'c1'), page([{ id: 'ch_1' }], null));
  let finished = false;
  const list = lntpay.charges.list({ limit: 1 });
  const first = await list.finally(() => { finished = true; });
  assert.ok(finished);
  assert.equal(await list, first, 'asked for once');
  assert.deepEqual(first, { object: 'list', data: [{ id: 'ch_2' }], has_more: true, next_cursor: 'c1' });
  const second = await lntpay.charges.list({ limit: 1, cursor: first.next_cursor });
  assert.deepEqual(second.data, [{ id: 'ch_1' }]);
  assert.deepEqual(requests.map(({ url }) => url), ['/v1/charges?limit=1', '/v1/charges?limit=1&cursor=c1']);
  assert.equal(await lntpay.charges.list().catch(({ code }) => code), 'internal_error');
});

test('a list iterated is all of it, page by page and through a break', async (t) => {
  const { lntpay, requests } = await serve(t, page([3, 2], 'c1'), cut, page([], 'c2'), page([1], null), page([9, 8], 'c9'));
  const seen = [];
  for await (const item of lntpay.charges.list({ status: 'paid', limit: 2 })) seen.push(item);
  assert.deepEqual(seen, [3, 2, 1]);
  assert.deepEqual(requests.map(({ url }) => url.replace('/v1/charges?status=paid&limit=2', '')), ['', '&cursor=c1', '&cursor=c1', '&cursor=c2']);
  for await (const item of lntpay.charges.list()) {
    assert.equal(item, 9);
    break;
  }
  assert.equal(requests.length, 5, 'the rest is not asked for');
});

test('wait asks until the object is over', async (t) => {
  const { lntpay, requests } = await serve(t,
    json(200, { status: 'pending' }), problem(503, 'service_unavailable', { 'retry-after': '0' }), json(200, { status: 'paid' }),
    json(200, { status: 'pending' }), json(200, { status: 'in_flight' }), json(200, { status: 'failed' }));
  assert.deepEqual(await lntpay.charges.wait('ch_1'), { status: 'paid' });
  assert.deepEqual(await lntpay.withdrawals.wait('wd_1'), { status: 'failed' });
  assert.deepEqual(requests.map(({ url }) => url), [...Array(3).fill('/v1/charges/ch_1?wait=30'), ...Array(3).fill('/v1/withdrawals/wd_1?wait=30')]);
});

test('wait returns the object as it is when the time is up', async (t) => {
  const later = (ms) => (request, response) => setTimeout(() => json(200, { status: 'pending' })(request, response), ms);
  const { lntpay, requests } = await serve(t, later(300), json(200, { status: 'pending' }));
  assert.deepEqual(await lntpay.charges.wait('ch_1', { waitMs: 200 }), { status: 'pending' });
  assert.deepEqual(await lntpay.charges.wait('ch_1', { waitMs: 0 }), { status: 'pending' });
  assert.deepEqual(requests.map(({ url }) => url), ['/v1/charges/ch_1?wait=1', '/v1/charges/ch_1?wait=0']);
});
