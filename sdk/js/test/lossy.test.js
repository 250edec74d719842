// The real stack behind a network that fails on every third request. tests/suite/sdk_javascript.go counts what it had done.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { LNTPay } = require('../index.js');
const { invoice, pay, skip } = require('./stack.js');

const CHARGES = 30;
const PAID = 10;
const PAYOUT_MSAT = 20_000;

/** Runs count calls, five at a time. */
async function several(count, call) {
  const results = [];
  let next = 0;
  await Promise.all(Array.from({ length: 5 }, async () => {
    while (next < count) {
      const i = next;
      next += 1;
      results[i] = await call(i);
    }
  }));
  return results;
}

async function all(items) {
  const ids = [];
  for await (const { id } of items) ids.push(id);
  return ids.sort();
}

test('nothing is charged or paid twice', { skip, timeout: 120_000 }, async (t) => {
  // Calls beside each other can meet every third request many times in a row.
  const lntpay = new LNTPay({ backoffMs: 20, maxRetries: 20 });
  const controller = new AbortController();
  t.after(() => controller.abort());
  const watched = (async () => {
    const events = [];
    for await (const event of lntpay.events.stream({ signal: controller.signal })) {
      events.push(event);
      if (events.length === 2 * PAID) return events;
    }
    return events;
  })();
  watched.catch(() => {}); // Of interest at the end only.

  const charges = await several(CHARGES, (i) => lntpay.charges.create({ amount_sats: 100, external_id: `charge-${i}` }));
  const ids = charges.map(({ id }) => id).sort();
  assert.equal(new Set(ids).size, CHARGES);
  assert.deepEqual(await all(lntpay.charges.list({ limit: 7 })), ids);
  charges.forEach(({ external_id: id }, i) => assert.equal(id, `charge-${i}`));

  const paid = charges.slice(0, PAID);
  await several(PAID, (i) => pay(paid[i].bolt11));
  for (const { status } of await several(PAID, (i) => lntpay.charges.wait(paid[i].id))) assert.equal(status, 'paid');

  const payouts = await several(PAID, async () => lntpay.withdrawals.create({ bolt11: await invoice(PAYOUT_MSAT) }));
  const done = await several(PAID, (i) => lntpay.withdrawals.wait(payouts[i].id));
  for (const { status } of done) assert.equal(status, 'succeeded');
  assert.deepEqual(await all(lntpay.withdrawals.list({ limit: 3 })), payouts.map(({ id }) => id).sort());

  const fees = done.reduce((sum, { fee_msat: fee }) => sum + fee, 0);
  const { available_msat: available, locked_msat: locked } = await lntpay.balance.get();
  assert.deepEqual([available, locked], [PAID * (100_000 - PAYOUT_MSAT) - fees, 0]);

  const events = await watched;
  assert.deepEqual(events.map(({ sequence }) => sequence), events.map((_, i) => i + 1), 'each event once and in order');
  const about = events.map(({ data }) => data.object.id).sort();
  assert.deepEqual(about, [...paid, ...payouts].map(({ id }) => id).sort());
});
