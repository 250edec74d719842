// The stack that tests/suite/sdk_javascript.go starts, and what it does for a test.
'use strict';

const { LNTPAY_TEST_URL: url } = process.env;

async function ask(path, body) {
  const answer = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
  return answer.json();
}

module.exports = {
  /** For node's runner: why there is nothing to test against. */
  skip: url ? false : 'needs the stack that `make test` starts',
  /** Pays an invoice from outside, and returns what the payer has then: bolt11 and preimage. */
  pay: (bolt11) => ask('/pay', { bolt11 }),
  /** Makes an invoice outside, to withdraw to. */
  invoice: async (amountMsat) => (await ask('/invoice', { amount_msat: amountMsat })).bolt11,
  /** The address at which the server reaches what listens here. */
  relay: async (url) => (await ask('/relay', { url })).url,
};
