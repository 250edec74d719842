// What an application does, against the real stack; the client takes its settings from the environment.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const http = require('node:http');
const test = require('node:test');
const { LNTPay, l402 } = require('../index.js');
const { listen } = require('./server.js');
const { invoice, pay, relay, skip } = require('./stack.js');

const lntpay = skip ? undefined : new LNTPay();

async function all(items) {
  const list = [];
  for await (const item of items) list.push(item);
  return list;
}

/** Takes the next event of a type, in whose place no other may come. */
async function next(stream, type) {
  const { value: event } = await stream.next();
  assert.equal(event.type, type);
  return event;
}

test('a charge is created, paid, waited for, listed and streamed', { skip, timeout: 60_000 }, async () => {
  const stream = lntpay.events.stream();
  const streamed = next(stream, 'charge.paid');
  const charge = await lntpay.charges.create({ amount_sats: 1000, description: 'from JavaScript', metadata: { a: 'ä' }, external_id: 'js-1' });
  assert.equal(charge.status, 'pending');
  assert.equal(charge.amount_msat, 1_000_000);
  assert.equal((await lntpay.charges.wait(charge.id, { waitMs: 500 })).status, 'pending');
  const [paid] = await Promise.all([lntpay.charges.wait(charge.id), pay(charge.bolt11)]);
  assert.equal(paid.status, 'paid');
  assert.deepEqual((await streamed).data.object, paid);
  await stream.return();

  assert.deepEqual(await lntpay.charges.get(charge.id), paid);
  assert.deepEqual(await all(lntpay.charges.list({ external_id: 'js-1' })), [paid]);
  assert.deepEqual((await lntpay.charges.list({ status: 'pending' })).data, []);
  assert.equal((await lntpay.charges.usage()).data.at(-1).amount_paid_msat, 1_000_000);
  assert.equal((await lntpay.balance.get()).available_msat, 1_000_000);
  await assert.rejects(lntpay.charges.cancel(charge.id), { code: 'charge_not_cancelable', status: 409 });
});

test('a charge is canceled', { skip, timeout: 60_000 }, async () => {
  const { id } = await lntpay.charges.create({ amount_msat: 1500 });
  const canceled = await lntpay.charges.cancel(id);
  assert.equal(canceled.status, 'canceled');
  assert.deepEqual(await lntpay.charges.wait(id), canceled);
});

test('a balance is withdrawn, once', { skip, timeout: 60_000 }, async () => {
  const bolt11 = await invoice(200_000);
  const quote = await lntpay.withdrawals.quote({ bolt11 });
  assert.equal(quote.sufficient, true);
  const options = { idempotencyKey: 'js payout' };
  const accepted = await lntpay.withdrawals.create({ bolt11, external_id: 'js-w' }, options);
  assert.deepEqual(await lntpay.withdrawals.create({ bolt11, external_id: 'js-w' }, options), accepted);
  await assert.rejects(lntpay.withdrawals.create({ bolt11 }, options), { code: 'idempotency_key_reused' });
  await assert.rejects(lntpay.withdrawals.create({ bolt11 }), { code: 'duplicate_payment' });

  const done = await lntpay.withdrawals.wait(accepted.id);
  assert.equal(done.status, 'succeeded');
  assert.equal(crypto.createHash('sha256').update(Buffer.from(done.preimage, 'hex')).digest('hex'), done.payment_hash);
  assert.deepEqual(await all(lntpay.withdrawals.list({ external_id: 'js-w' })), [done]);
  assert.deepEqual(await lntpay.withdrawals.get(done.id), done);
  const kinds = (await all(lntpay.transfers.list({ ref: done.id, limit: 1 }))).map(({ kind }) => kind);
  assert.ok(kinds.includes('withdrawal_lock') && kinds.includes('withdrawal_post'), kinds.join());
  const { available_msat: available, locked_msat: locked } = await lntpay.balance.get();
  assert.deepEqual([available, locked], [800_000 - done.fee_msat, 0]);
});

test('an endpoint is tried out, and its deliveries are genuine', { skip, timeout: 60_000 }, async (t) => {
  const waiting = [];
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    response.writeHead(204).end();
    waiting.shift()?.({ headers: request.headers, body: Buffer.concat(chunks) });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const receive = () => new Promise((resolve) => waiting.push(resolve));

  const { endpoints, deliveries } = lntpay.webhooks;
  const { id, secret } = await endpoints.create({ url: await relay(`http://127.0.0.1:${server.address().port}`), events: ['withdrawal.failed'] });
  const [{ headers, body }, delivery] = await Promise.all([receive(), endpoints.test(id)]);
  const event = lntpay.webhooks.verify(body, headers, secret);
  assert.equal(event.type, 'webhook.test');
  assert.deepEqual(lntpay.webhooks.verify(body, headers['x-lntpay-signature'], secret), event);
  assert.deepEqual(await lntpay.events.get(event.id), event);
  assert.equal(delivery.event_id, event.id);

  const { secret: newer } = await endpoints.rotateSecret(id, { overlap_seconds: 60 });
  const [again] = await Promise.all([receive(), deliveries.redeliver(delivery.id)]);
  assert.deepEqual(again.body, body);
  for (const one of [secret, newer]) assert.deepEqual(lntpay.webhooks.verify(again.body, again.headers, one), event);
  assert.deepEqual(lntpay.webhooks.verify(again.body, again.headers['x-lntpay-signature'], [newer, secret]), event);

  assert.deepEqual((await all(deliveries.list({ endpoint_id: id }))).map((one) => one.id), [delivery.id]);
  assert.equal((await deliveries.get(delivery.id)).event_id, event.id);
  assert.equal((await endpoints.update(id, { status: 'disabled' })).status, 'disabled');
  assert.equal((await endpoints.get(id)).status, 'disabled');
  await assert.rejects(endpoints.test(id), { code: 'endpoint_disabled' });
  await endpoints.delete(id);
  assert.deepEqual(await all(endpoints.list()), []);
});

test('a key does what its scopes say, until it is deleted', { skip, timeout: 60_000 }, async () => {
  const key = await lntpay.keys.create({ name: 'js', scopes: ['charges:read'], expires_at: new Date(Date.now() + 3_600_000) });
  const reader = new LNTPay({ apiKey: key.secret });
  assert.equal((await all(reader.charges.list({ limit: 1 }))).length, 2);
  await assert.rejects(reader.balance.get(), { code: 'forbidden', status: 403 });
  assert.ok((await all(lntpay.keys.list())).some(({ id }) => id === key.id));
  await lntpay.keys.delete(key.id);
  // Another api may know it for 30 seconds more (openapi.yaml, DELETE /v1/keys/{id}).
  await new Promise((resolve) => setTimeout(resolve, Number(process.env.LNTPAY_TEST_KEY_LINGERS_MS ?? 0)));
  await assert.rejects(reader.charges.list(), { code: 'unauthorized', status: 401 });
});

test('a refusal says what is wrong', { skip, timeout: 60_000 }, async () => {
  await assert.rejects(lntpay.charges.create({ amount_msat: 1.5 }), (error) => {
    assert.equal(error.code, 'invalid_request');
    assert.match(error.requestId, /./);
    assert.ok(error.errors.some(({ field }) => field === 'amount_msat'), error.message);
    return true;
  });
  await assert.rejects(lntpay.charges.get('ch_00000000000000000000000000'), { code: 'not_found', status: 404 });
  await assert.rejects(lntpay.events.stream({ lastEventId: 'evt_00000000000000000000000000' }).next(), { code: 'not_found' });
});

test('what is behind a gate is bought and opened, once', { skip, timeout: 60_000 }, async (t) => {
  const key = crypto.randomBytes(32).toString('hex');
  const gate = lntpay.gate({ key, priceSats: 21, once: true, description: () => 'a forecast' });
  const url = await listen(t, (req, res) => gate(req, res, () => res.end(JSON.stringify(req.payment))));
  const unpaid = await fetch(`${url}/forecast`);
  assert.equal(unpaid.status, 402);
  const { macaroon, invoice: bolt11 } = l402.parseChallenge(unpaid.headers);
  const { charge_id: chargeId, expires_at: expiresAt } = await unpaid.json();
  const charge = await lntpay.charges.get(chargeId);
  assert.deepEqual([charge.status, charge.amount_msat, charge.bolt11, charge.description], ['pending', 21_000, bolt11, 'a forecast']);
  assert.deepEqual([charge.expires_at, charge.metadata], [expiresAt, { l402_service: 'lntpay', l402_resource: 'GET /forecast' }]);

  const { preimage } = await pay(bolt11);
  const headers = { authorization: String(new l402.Credential(macaroon, preimage)) };
  assert.equal((await fetch(`${url}/other`, { headers })).status, 402);
  const opened = await fetch(`${url}/forecast`, { headers });
  assert.equal(opened.status, 200);
  const payment = await opened.json();
  assert.deepEqual([payment.chargeId, payment.paymentHash, payment.amountMsat], [chargeId, charge.payment_hash, 21_000]);
  assert.equal((await fetch(`${url}/forecast`, { headers })).status, 402);
  assert.equal((await lntpay.charges.wait(chargeId)).status, 'paid');
});
