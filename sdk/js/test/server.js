// A server that answers as a test says.
'use strict';

const http = require('node:http');
const { LNTPay } = require('../index.js');

/**
 * Answers each request by the next step, a function of request and response, and keeps what came. What has no step is
 * answered by 500.
 */
async function serve(t, ...steps) {
  const requests = [];
  const baseUrl = await listen(t, async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method, url, headers } = request;
    request.body = body;
    requests.push({ method, url, headers, body });
    (steps.shift() ?? json(500, { code: 'internal_error', detail: 'the test has no step for this' }))(request, response);
  });
  const lntpay = new LNTPay({ apiKey: 'lnt_sandbox_test', baseUrl, backoffMs: 1 });
  return { baseUrl, lntpay, requests };
}

/** Serves until the test ends, and returns where. */
async function listen(t, handler) {
  const server = http.createServer(handler);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

function json(status, body, headers = {}) {
  return (_, response) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function problem(status, code, headers) {
  return json(status, { type: 'about:blank', title: 'Refused', status, detail: `Detail of ${code}.`, code, request_id: 'r1' }, headers);
}

/** Breaks the connection without an answer. */
function cut(request) {
  request.socket.destroy();
}

/** Breaks it in the middle of the answer. */
function cutInside(request, response) {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
  response.write('{"id":"ch_', () => request.socket.destroy());
}

/** Never answers. */
function silence() {}

module.exports = { listen, serve, json, problem, cut, cutInside, silence };
