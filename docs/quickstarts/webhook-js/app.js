// Sells one answer for 21 sats, told by webhooks who has paid. Node 18 or newer, no packages but LNTPay's own.
// docs/quickstart.md explains it.
'use strict';

const http = require('node:http');
const LNTPay = require('../../../sdk/js').default; // elsewhere: require('lntpay')

const lntpay = new LNTPay(); // LNTPAY_API_KEY, LNTPAY_BASE_URL, LNTPAY_WEBHOOK_SECRET
const port = process.env.PORT || 3001;
const MAX_BODY = 1 << 20;

// What each charge has come to: pending, paid, used. Yours belongs into a database, to outlive a restart.
const charges = new Map();

/** GET /api/premium, and again with ?charge_id= once it is paid. */
async function premium(url, response) {
  const id = url.searchParams.get('charge_id');
  if (id && !charges.has(id)) return send(response, 404, { error: 'There is no such charge.' });
  if (charges.get(id) === 'used') return send(response, 410, { error: 'One charge, one answer.' });
  if (charges.get(id) === 'paid') {
    charges.set(id, 'used');
    return send(response, 200, { answer: 42 });
  }
  const charge = id ? await lntpay.charges.get(id) : await lntpay.charges.create({ amount_sats: 21, description: 'one answer' });
  // It is unlocked by the webhook alone, which may have come before the answer to create.
  if (!charges.has(charge.id)) charges.set(charge.id, 'pending');
  return send(response, 402, { charge_id: charge.id, bolt11: charge.bolt11, expires_at: charge.expires_at });
}

/** POST /webhooks/lntpay. */
async function webhook(request, response) {
  const signature = request.headers['x-lntpay-signature'];
  if (!signature) return send(response, 400, 'Missing x-lntpay-signature header');
  const body = await rawBody(request); // As it came: the signature is of these bytes.
  let event;
  try {
    event = lntpay.webhooks.verify(body, signature);
  } catch {
    return send(response, 400, 'The signature is wrong');
  }
  // The same event can come again: what is used stays so.
  const id = event.data.object.id;
  if (event.type === 'charge.paid' && charges.get(id) !== 'used') charges.set(id, 'paid');
  return send(response, 200, 'ok');
}

async function rawBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Error('the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function send(response, status, body) {
  const text = typeof body === 'string';
  response.writeHead(status, { 'content-type': text ? 'text/plain' : 'application/json' });
  response.end(text ? body : JSON.stringify(body));
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const route = { 'GET /api/premium': () => premium(url, response), 'POST /webhooks/lntpay': () => webhook(request, response) };
  const handle = route[`${request.method} ${url.pathname}`] ?? (() => send(response, 404, 'Not found'));
  Promise.resolve().then(handle).catch((error) => {
    console.error(error);
    send(response, 500, 'Something went wrong');
  });
});
server.listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
