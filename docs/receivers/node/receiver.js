// Receives LNTPay's webhooks with Node 18 or newer, without packages. docs/webhooks.md explains it.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

const env = process.env;
// The endpoint's secret; the new and the old one, separated by a space, while a rotation lasts.
const keys = (env.LNTPAY_WEBHOOK_SECRET || '').split(' ').map((secret) => Buffer.from(secret.replace(/^whsec_/, ''), 'base64'));
const baseURL = env.LNTPAY_BASE_URL || 'http://127.0.0.1:8080';
const eventsFile = env.EVENTS_FILE || 'events.jsonl';
const gapSeconds = Number(env.GAP_SECONDS || 10);
const toleranceSeconds = 300;
const maxBody = 1 << 20;

if (keys.some((key) => key.length === 0)) {
  // Anybody can sign with an empty key.
  console.error('LNTPAY_WEBHOOK_SECRET holds no secret (whsec_…)');
  process.exit(1);
}

// genuine checks the signature over the raw body, a Buffer, and that it was made a moment ago.
function genuine(headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature = '' } = headers;
  // Written so that NaN, from a timestamp that is none, is refused.
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= toleranceSeconds)) return false;
  const theirs = signature.split(' ').map((one) => Buffer.from(one));
  return keys.some((key) => {
    const mac = crypto.createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
    const ours = Buffer.from(`v1,${mac}`);
    // timingSafeEqual takes the same time wherever the two differ; it throws when their lengths do.
    return theirs.some((one) => one.length === ours.length && crypto.timingSafeEqual(one, ours));
  });
}

// handle is where your work goes. It gets each event once, in order.
function handle(event) {
  console.log('handled', event.sequence, event.id, event.type);
}

// The file stands in for a table of yours: write the event's id, with a unique index, in the transaction of what
// the event causes. Events that wait for an earlier one are only in memory: a restart fetches them again.
const handled = new Set();
const waiting = new Map();
let next = Number(env.AFTER_SEQUENCE || 0) + 1;
const file = fs.openSync(eventsFile, 'a');
for (const line of fs.readFileSync(eventsFile, 'utf8').split('\n').filter(Boolean)) {
  const event = JSON.parse(line);
  handled.add(event.id);
  next = event.sequence + 1;
}

// take hands events to handle once and in order. It must not be interrupted: if your handle is asynchronous, queue the calls.
function take(event) {
  if (handled.has(event.id) || event.sequence < next) return; // a repeat
  waiting.set(event.sequence, event);
  while (waiting.has(next)) {
    // What fails here stays, and is tried again when LNTPay delivers it again.
    handle(waiting.get(next));
    record(waiting.get(next));
    waiting.delete(next);
    next += 1;
  }
}

function record(event) {
  fs.writeSync(file, `${JSON.stringify(event)}\n`);
  fs.fsyncSync(file);
  handled.add(event.id);
}

// eventsAfter fetches the events after a sequence, oldest first. The API lists the newest first.
async function eventsAfter(sequence) {
  const events = [];
  for (let cursor = ''; ;) {
    const answer = await fetch(`${baseURL}/v1/events?limit=100${cursor && `&cursor=${cursor}`}`, {
      headers: { Authorization: `Bearer ${env.LNTPAY_API_KEY}` },
      signal: AbortSignal.timeout(15_000),
    });
    if (!answer.ok) throw new Error(`GET /v1/events: ${answer.status}`);
    const page = await answer.json();
    events.push(...page.data);
    cursor = page.next_cursor;
    if (!cursor || page.data.at(-1).sequence <= sequence + 1) return events.reverse();
  }
}

// catchUp fetches what came while we were away, and later what is missing when events wait for an earlier one.
async function catchUp() {
  for (let behind = true; ; await sleep(gapSeconds * 1000)) {
    if (!behind && waiting.size === 0) continue;
    try {
      (await eventsAfter(next - 1)).forEach(take);
      behind = false;
    } catch (error) {
      console.error('events could not be fetched, next try soon:', error.message);
    }
  }
}

async function receive(request) {
  if (request.method !== 'POST') return 405;
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > maxBody) return 413;
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (!genuine(request.headers, body)) return 400;
  take(JSON.parse(body));
  return 204;
}

const server = http.createServer((request, response) => {
  receive(request).catch((error) => {
    console.error(error);
    return 500; // LNTPay tries again.
  }).then((status) => response.writeHead(status).end());
});
server.listen(Number(env.PORT || 9099), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`);
  catchUp();
});
