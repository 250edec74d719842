'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { LNTPay } = require('../index.js');
const { serve, json, problem, cut, silence } = require('./server.js');

const event = (sequence) => ({ id: `evt_${sequence}`, object: 'event', type: 'charge.paid', sequence, data: { object: { text: 'ä' } } });
const block = (sequence) => `id: evt_${sequence}\nevent: charge.paid\ndata: ${JSON.stringify(event(sequence))}\n\n`;
const page = (...sequences) => json(200, { object: 'list', data: sequences.map(event), has_more: false, next_cursor: null });

/** Sends these pieces, each by itself; then ends in order, breaks, or stays open. */
function stream(pieces, end = 'end') {
  return async (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const piece of ['retry: 1000\n\n', ...pieces]) {
      response.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (end === 'end') response.end();
    if (end === 'cut') request.socket.destroy();
  };
}

/** Takes so many events, and leaves. */
async function take(iterator, count) {
  const sequences = [];
  for await (const { sequence, data } of iterator) {
    assert.equal(data.object.text, 'ä');
    sequences.push(sequence);
    if (sequences.length === count) break;
  }
  return sequences;
}

const asked = (requests) => requests.map(({ url, headers }) => `${url} ${headers['last-event-id'] ?? ''}`.trim());

test('a stream that is cut in the middle goes on, without loss or repeat', async (t) => {
  const { lntpay, requests } = await serve(t,
    page(10),
    stream([block(11), block(12), block(13).slice(0, 60)], 'cut'),
    cut,
    problem(503, 'service_unavailable', { 'retry-after': '0' }),
    stream([block(13) + block(14), ': \n\n']),
    stream([block(14), block(15)], 'open'));
  assert.deepEqual(await take(lntpay.events.stream(), 5), [11, 12, 13, 14, 15]);
  assert.deepEqual(asked(requests), ['/v1/events?limit=1', '/v1/events/stream evt_10',
    ...Array(3).fill('/v1/events/stream evt_12'), '/v1/events/stream evt_14']);
});

test('an event with a line separator of Unicode in its text is read', async (t) => {
  const odd = { ...event(11), data: { object: { text: 'ä', description: 'a\u2028b\u2029' } } };
  const { lntpay } = await serve(t, page(10), stream([`id: evt_11\nevent: charge.paid\ndata: ${JSON.stringify(odd)}\n\n`, block(12)], 'open'));
  assert.deepEqual(await take(lntpay.events.stream(), 2), [11, 12]);
});

test('a stream goes on after the event that it is told', async (t) => {
  const { lntpay, requests } = await serve(t, json(200, event(7)), stream([block(8)], 'open'));
  assert.deepEqual(await take(lntpay.events.stream({ lastEventId: 'evt_7' }), 1), [8]);
  assert.deepEqual(asked(requests), ['/v1/events/evt_7', '/v1/events/stream evt_7']);
});

test('an event that is not there is an error, not a stream from elsewhere', async (t) => {
  const { lntpay } = await serve(t, problem(404, 'not_found'));
  await assert.rejects(take(lntpay.events.stream({ lastEventId: 'evt_7' }), 1), { code: 'not_found' });
});

test('the first event of a workspace is not lost', async (t) => {
  const { lntpay, requests } = await serve(t,
    page(),
    stream([], 'cut'), page(), // The present: nothing before it.
    stream([block(3)], 'cut'), page(2, 1), // Both came while nobody listened.
    stream([block(4)], 'open'));
  assert.deepEqual(await take(lntpay.events.stream(), 4), [1, 2, 3, 4]);
  assert.equal(asked(requests).at(-1), '/v1/events/stream evt_3');
});

test('pieces of any size are put together', async (t) => {
  const bytes = Buffer.from(block(2) + block(3).replaceAll('\n', '\r\n'));
  const pieces = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
  const { lntpay } = await serve(t, page(1), (_, response) => {
    response.writeHead(200);
    (function send() {
      if (pieces.length) response.write(pieces.shift(), () => setImmediate(send));
    }());
  });
  assert.deepEqual(await take(lntpay.events.stream(), 2), [2, 3]);
});

test('a silent connection is given up', async (t) => {
  const { lntpay, requests } = await serve(t, page(1), stream([block(2)], 'open'), stream([block(3)], 'open'));
  assert.deepEqual(await take(lntpay.events.stream({ silenceMs: 200 }), 2), [2, 3]);
  assert.equal(requests.length, 3);
});

test('a key that is refused ends a stream', async (t) => {
  const { lntpay } = await serve(t, page(1), stream([block(2)]), problem(401, 'unauthorized'));
  const seen = [];
  await assert.rejects(async () => {
    for await (const { sequence } of lntpay.events.stream()) seen.push(sequence);
  }, { code: 'unauthorized' });
  assert.deepEqual(seen, [2]);
});

for (const [name, step] of Object.entries({ 'an open stream': stream([], 'open'), 'a silent server': silence })) {
  test(`a signal ends ${name}`, async (t) => {
    const { lntpay } = await serve(t, page(1), step);
    const controller = new AbortController();
    const reason = new Error('enough');
    setTimeout(() => controller.abort(reason), 100);
    await assert.rejects(take(lntpay.events.stream({ signal: controller.signal }), 1), (error) => error === reason);
  });
}

/** As the fetch of Node 18 is after the garbage collector has run. */
function ignoreSignals(t) {
  const { fetch } = globalThis;
  globalThis.fetch = (url, { signal, ...init }) => fetch(url, init);
  t.after(() => { globalThis.fetch = fetch; });
}

test('a fetch that misses an abort holds nobody up', async (t) => {
  ignoreSignals(t);
  const { lntpay } = await serve(t, silence, page(1), stream([block(2)], 'open'), stream([block(3)], 'open'));
  await assert.rejects(lntpay.balance.get({ timeoutMs: 100, maxRetries: 0 }), { code: 'timeout' });
  assert.deepEqual(await take(lntpay.events.stream({ silenceMs: 200 }), 2), [2, 3]);
});

test('a stream that opens too late is closed', async (t) => {
  ignoreSignals(t);
  let closed;
  const { baseUrl } = await serve(t, page(1), (request, response) => {
    closed = new Promise((resolve) => response.on('close', resolve));
    setTimeout(() => stream([], 'open')(request, response), 300);
  }, stream([block(2)], 'open'));
  const lntpay = new LNTPay({ apiKey: 'k', baseUrl, backoffMs: 1, timeoutMs: 100 });
  assert.deepEqual(await take(lntpay.events.stream(), 1), [2]);
  await closed;
});

test('leaving a stream closes its connection', async (t) => {
  ignoreSignals(t);
  let closed;
  const { lntpay } = await serve(t, page(1), (request, response) => {
    closed = new Promise((resolve) => response.on('close', resolve));
    stream([block(2)], 'open')(request, response);
  });
  assert.deepEqual(await take(lntpay.events.stream(), 1), [2]);
  await closed;
});
