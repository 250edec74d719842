// Runs what the READMEs and pages show of JavaScript, against an LNTPay of canned answers.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const test = require('node:test');
const sdk = require('../index.js');
const { json, listen, problem } = require('./server.js');

const repository = path.join(__dirname, '../../..');
const secret = `whsec_${Buffer.from('of the tests').toString('base64')}`;
const preimage = '03'.repeat(32);
const paymentHash = crypto.createHash('sha256').update(Buffer.from(preimage, 'hex')).digest('hex');
const charge = { id: 'ch_01m829m1ezf6p8497reqzrs9mv', status: 'paid', payment_hash: paymentHash, bolt11: 'lnbcrt1invoice', amount_msat: 21_000 };
const event = { id: 'evt_01m829mydrfbg9b6xhmzr4h4bt', object: 'event', type: 'charge.paid', sequence: 1, data: { object: charge } };

/** The code that a page shows in fences, and in indented blocks that begin so. */
function code(page, ...beginnings) {
  const text = fs.readFileSync(path.join(repository, page), 'utf8');
  const indented = beginnings.map((beginning) => {
    const at = text.indexOf(`\n    ${beginning}`);
    assert.ok(at >= 0, `${page}: ${beginning}`);
    return text.slice(at + 1).split(/\n(?=\S)/, 1)[0];
  });
  return [...[...text.matchAll(/^```js\n([^]*?)^```$/gm)].map(([, block]) => block), ...indented];
}

/** LNTPay, which has one of each. */
function backend(requests) {
  return async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const called = `${request.method} ${request.url.split('?')[0]}`;
    requests.push(called);
    const refused = called === 'POST /v1/withdrawals' && !body.includes('max_fee_sats');
    const answers = {
      'POST /v1/charges': json(201, charge),
      'GET /v1/charges': json(200, { object: 'list', data: [charge], has_more: false, next_cursor: null }),
      'POST /v1/withdrawals': refused ? problem(422, 'insufficient_balance') : json(201, { id: 'wd_1', status: 'pending' }),
      'GET /v1/withdrawals/wd_1': json(200, { id: 'wd_1', status: 'succeeded', failure: null }),
      'GET /v1/events/stream': (_, answer) => answer.writeHead(200, { 'content-type': 'text/event-stream' })
        .write(`id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`),
      [`GET /v1/charges/${charge.id}`]: json(200, charge),
      'GET /v1/events/evt_01m829mydrfbg9b6xhmzr4h4b0': json(200, { id: 'evt_01m829mydrfbg9b6xhmzr4h4b0', sequence: 0 }),
      [`POST /v1/sandbox/charges/${charge.id}/pay`]: json(202, { id: 'sbp_1' }),
    };
    (answers[called] ?? problem(404, 'not_found'))(request, response);
  };
}

/** A delivery, as Express hands it to a handler behind express.raw. */
function delivery(key = secret) {
  const body = Buffer.from(JSON.stringify(event));
  const timestamp = String(Math.floor(Date.now() / 1000));
  const signature = crypto.createHmac('sha256', Buffer.from(key.slice(6), 'base64')).update(`${event.id}.${timestamp}.${body}`).digest('base64');
  return { body, headers: { 'webhook-id': event.id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` } };
}

/** Runs code that finds these words as if they were declared around it. */
function run(text, words) {
  return new Function('words', `with (words) { return (async () => {\n${text}\n})(); }`)(words);
}

test('what the pages show runs', async (t) => {
  const requests = [];
  const baseUrl = await listen(t, backend(requests));
  const env = { ...process.env };
  Object.assign(process.env, { LNTPAY_API_KEY: 'k', LNTPAY_BASE_URL: baseUrl, LNTPAY_WEBHOOK_SECRET: secret, LNTPAY_L402_KEY: '4a'.repeat(32) });
  t.after(() => { process.env = env; });
  const ended = new Error('the loop ends here');
  const routes = {};
  const route = (name, ...handlers) => { routes[name] = handlers; };
  const lntpay = new sdk.LNTPay();
  const first = lntpay.gate({ priceSats: 21 });
  const sold = await listen(t, (req, res) => first(req, res, () => res.end('sunny')));
  const unlocked = [];
  const { body: rawBody, headers } = delivery();
  const words = {
    require: (name) => (name === 'lntpay' ? sdk : require(name)), console: { log() {} }, http, fetch, lntpay, charge, preimage, rawBody,
    bolt11: charge.bolt11, order: { id: 42 }, request: { headers }, url: sold, response: await fetch(sold), stored: 'evt_01m829mydrfbg9b6xhmzr4h4b0',
    app: { get: route, post: route }, express: { raw: () => (_req, _res, next) => next() }, unlock: (id) => unlocked.push(id),
    handle: async (one) => assert.equal(one.id, event.id), store: async () => { throw ended; },
  };
  const shown = [
    ...code('sdk/js/README.md'), ...code('README.md', "const LNTPay = require('lntpay').default;"),
    ...code('docs/l402.md', "app.get('/report', lntpay.gate("), ...code('docs/sandbox.md', 'client.Sandbox.PayCharge('),
  ].map((text) => text.replace(/^ *client\.Sandbox\..*$/m, '').replaceAll('lnt_sandbox_…', 'k').replaceAll('http://127.0.0.1:8080', baseUrl));
  assert.ok(shown.length > 9);
  for (const text of shown) {
    await run(text, words).catch((error) => { if (error !== ended) throw new Error(`${error.stack}\nin\n${text}`); });
  }

  // What was declared answers as the pages say.
  for (const [key, status] of [[secret, 204], [`whsec_${'A'.repeat(32)}`, 400]]) {
    const got = await new Promise((resolve) => { routes['/webhooks'].at(-1)(delivery(key), { sendStatus: resolve }); });
    assert.equal(got, status);
  }
  assert.deepEqual(unlocked, [charge.id]);
  for (const name of ['/forecast', '/report']) {
    const [gate] = routes[name];
    const url = await listen(t, (req, res) => gate(req, res, () => res.end()));
    assert.equal((await fetch(url + name)).status, 402, name);
  }
  for (const called of [
    'POST /v1/withdrawals', 'GET /v1/withdrawals/wd_1', 'GET /v1/events/stream', `POST /v1/sandbox/charges/${charge.id}/pay`,
  ]) assert.ok(requests.includes(called), called);
});
