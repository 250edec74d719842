// The client of LNTPay's API, for Node 18 or newer and without packages. README.md shows it in use; index.d.ts has the
// types, and what each method is for.
'use strict';

const crypto = require('node:crypto');
const { setTimeout: timer } = require('node:timers/promises');
const { gate, MemoryUses } = require('./gate.js');
const { l402 } = require('./l402.js');
const { version } = require('./package.json');

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_MAX_RETRIES = 5;
const DEFAULT_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 30_000;
/** A call that is told to come back later than this fails, so that the caller can decide. */
const MAX_RETRY_AFTER_MS = 60_000;
/** The longest sleep of a stream. */
const MAX_SLEEP_MS = 3_600_000;
/** What setTimeout can count; it fires at once for more. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** One long poll; under the minute after which proxies lose patience. */
const LONG_POLL_SECONDS = 30;
const DEFAULT_WAIT_MS = 300_000;
/** Three heartbeats of the server. */
const STREAM_SILENCE_MS = 45_000;
const MAX_EVENT_CHARS = 1 << 20;
const TOLERANCE_SECONDS = 300;

/** What a call ends with when it has no result. Switch on `code`. */
class LNTPayError extends Error {
  constructor(detail, { code, status, requestId, errors = [], retryAfterMs, cause } = {}) {
    const fields = errors.map(({ field, message }) => `${field} ${message}`).join(', ');
    super(fields ? `${detail} (${fields})` : detail, cause === undefined ? undefined : { cause });
    this.name = 'LNTPayError';
    this.detail = detail;
    this.code = code;
    this.status = status;
    this.requestId = requestId;
    this.errors = errors;
    this.retryAfterMs = retryAfterMs;
    /** The key under which the outcome can still be asked for: repeat the call with it. */
    this.idempotencyKey = undefined;
  }
}

/** Reads Retry-After, which is in seconds or a date. */
function retryAfterMs(value) {
  if (!value) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** Makes an error of an answer that is no success, whoever gave it. */
function errorOf(response, text) {
  let problem;
  try {
    problem = JSON.parse(text);
  } catch {
    // From a proxy, perhaps.
  }
  return new LNTPayError(problem?.detail ?? `the server answered ${response.status}`, {
    code: problem?.code ?? 'unexpected_response',
    status: response.status,
    requestId: problem?.request_id ?? response.headers.get('x-request-id') ?? undefined,
    errors: Array.isArray(problem?.errors) ? problem.errors : [],
    retryAfterMs: retryAfterMs(response.headers.get('retry-after')),
  });
}

/** Says whether a repeat can help. 502 and 504 are a proxy's words for a broken network; a 500 is final. */
function passes(error) {
  return error instanceof LNTPayError
    && (['network_error', 'timeout'].includes(error.code) || [429, 502, 503, 504].includes(error.status));
}

/** Sleeps before the next attempt: longer each time, at random, and never less than the server asked for. */
async function backOff(failures, baseMs, error, signal) {
  const ms = Math.min(MAX_BACKOFF_MS, baseMs * 2 ** failures);
  const jittered = ms * (0.5 + Math.random() / 2);
  const asked = error?.retryAfterMs;
  const sleep = asked === undefined ? jittered : Math.min(asked, MAX_SLEEP_MS) + Math.random() * ms;
  try {
    await timer(sleep, undefined, { signal });
  } catch {
    throw signal.reason;
  }
}

/**
 * Runs work(signal) and ends it when it takes too long and when the caller's signal says so; everything else that goes
 * wrong in it is the network. It does not wait for the work to end: the fetch of Node 18 can miss an abort once the
 * garbage collector has run (undici 5, lib/fetch/request.js, follows a signal by a WeakRef).
 */
async function bounded(timeoutMs, outer, work) {
  outer?.throwIfAborted();
  const inner = new AbortController();
  let clock;
  let abort;
  const ended = new Promise((_, reject) => {
    clock = setTimeout(() => reject(new LNTPayError(`no answer within ${timeoutMs} ms`, { code: 'timeout' })), Math.min(timeoutMs, MAX_TIMER_MS));
    abort = () => reject(outer.reason);
    outer?.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([work(inner.signal), ended]);
  } catch (error) {
    inner.abort();
    outer?.throwIfAborted();
    if (error instanceof LNTPayError) throw error;
    throw new LNTPayError(`the connection failed: ${error.cause?.message ?? error.message}`, { code: 'network_error', cause: error });
  } finally {
    clearTimeout(clock);
    outer?.removeEventListener('abort', abort);
  }
}

/** Takes ids only: anything else would change the path. */
function safe(id) {
  if (typeof id !== 'string' || !/^\w+$/.test(id)) throw new TypeError(`not an id: ${id}`);
  return id;
}

function queryOf(params) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params ?? {})) {
    if (value === undefined || value === null) continue;
    query.set(name, value instanceof Date ? value.toISOString() : value);
  }
  const text = query.toString();
  return text && `?${text}`;
}

/** Accepts the address with and without /v1, which LNTPay's own LNTPAY_BASE_URL ends in. */
function rootOf(baseUrl) {
  const url = new URL(baseUrl);
  if (!/^https?:$/.test(url.protocol)) throw new TypeError(`baseUrl is not http or https: ${baseUrl}`);
  return url.origin + url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
}

/** Makes requests, and repeats them. */
class Api {
  #apiKey;

  constructor({ apiKey, baseUrl, timeoutMs, maxRetries, backoffMs }) {
    this.#apiKey = apiKey?.trim();
    if (this.#apiKey && !/^[!-~]+$/.test(this.#apiKey)) throw new TypeError('apiKey is not printable ASCII');
    this.root = baseUrl ? rootOf(baseUrl) : undefined;
    this.timeoutMs = timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.maxRetries = maxRetries ?? DEFAULT_MAX_RETRIES;
    this.backoffMs = backoffMs ?? DEFAULT_BACKOFF_MS;
  }

  headers(more) {
    if (!this.#apiKey) throw new TypeError('there is no API key: pass apiKey, or set LNTPAY_API_KEY');
    // No default: the backend is the operator's own, and the key must not go elsewhere by mistake.
    if (!this.root) throw new TypeError('there is no base URL: pass baseUrl, or set LNTPAY_BASE_URL');
    return { authorization: `Bearer ${this.#apiKey}`, 'user-agent': `lntpay-js/${version}`, ...more };
  }

  async get(path, params, options) {
    return this.request('GET', path + queryOf(params), undefined, options);
  }

  /** Every POST has an Idempotency-Key, so that it can be repeated. */
  async post(path, body, options) {
    const idempotencyKey = options?.idempotencyKey ?? crypto.randomUUID();
    if (!/^[ -~]{1,255}$/.test(idempotencyKey)) throw new TypeError('idempotencyKey is not 1 to 255 printable ASCII characters');
    try {
      return await this.request('POST', path, body, options, { 'idempotency-key': idempotencyKey });
    } catch (error) {
      if (error instanceof LNTPayError) error.idempotencyKey = idempotencyKey;
      throw error;
    }
  }

  list(path, params, options) {
    return new List((query) => this.get(path, query, options), params);
  }

  async request(method, path, body, options = {}, more = {}) {
    const { signal, timeoutMs = this.timeoutMs, maxRetries = this.maxRetries } = options;
    const init = { method, redirect: 'manual', headers: this.headers(more) };
    if (body !== undefined) {
      // Once: LNTPay compares the bodies of repeats byte by byte.
      init.body = JSON.stringify(body);
      init.headers['content-type'] = 'application/json';
    }
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.attempt(path, init, timeoutMs, signal);
      } catch (error) {
        // What an attempt without an answer has deleted is not there any more.
        if (method === 'DELETE' && failures > 0 && error.status === 404) return undefined;
        if (failures >= maxRetries || !passes(error) || error.retryAfterMs > MAX_RETRY_AFTER_MS) throw error;
        await backOff(failures, this.backoffMs, error, signal);
      }
    }
  }

  async attempt(path, init, timeoutMs, outer) {
    const [response, text] = await bounded(timeoutMs, outer, async (signal) => {
      const answer = await fetch(`${this.root}/v1${path}`, { ...init, signal });
      return [answer, await answer.text()];
    });
    if (!response.ok) throw errorOf(response, text);
    if (text === '') return undefined;
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new LNTPayError('the answer is not JSON', { code: 'unexpected_response', status: response.status, cause: error });
    }
  }

  /** Asks again until over(object) or the time is up, and returns the object as it is then. */
  async wait(path, over, { waitMs = DEFAULT_WAIT_MS, ...options } = {}) {
    const deadline = Date.now() + waitMs;
    for (;;) {
      const seconds = Math.min(LONG_POLL_SECONDS, Math.max(0, Math.ceil((deadline - Date.now()) / 1000)));
      const timeoutMs = (options.timeoutMs ?? this.timeoutMs) + seconds * 1000;
      const object = await this.get(path, { wait: seconds }, { ...options, timeoutMs });
      if (over(object) || Date.now() >= deadline) return object;
    }
  }

  /**
   * Yields the blocks of one connection to the event stream, each an object of its fields; it ends when the server
   * ends it, and throws when the network does, or when nothing has come for silenceMs.
   */
  async *blocks(lastEventId, silenceMs, outer) {
    const headers = this.headers({ accept: 'text/event-stream', ...(lastEventId && { 'last-event-id': lastEventId }) });
    const response = await bounded(this.timeoutMs, outer, async (signal) => {
      const answer = await fetch(`${this.root}/v1/events/stream`, { redirect: 'manual', headers, signal });
      if (signal.aborted) await answer.body?.cancel(); // Too late: nobody will read it.
      return answer;
    });
    if (!response.ok) throw errorOf(response, await bounded(this.timeoutMs, outer, () => response.text()));
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    try {
      for (let rest = ''; ;) {
        const { done, value } = await bounded(silenceMs, outer, () => reader.read());
        if (done) return; // What has no empty line after it is not whole.
        const blocks = (rest + decoder.decode(value, { stream: true })).split(/\r\n\r\n|\n\n|\r\r/);
        rest = blocks.pop();
        if (rest.length > MAX_EVENT_CHARS) throw new LNTPayError('an event is too long', { code: 'unexpected_response' });
        for (const block of blocks) yield fieldsOf(block);
      }
    } finally {
      // Closes the connection. What broke it has been thrown.
      reader.cancel().catch(() => {});
    }
  }
}

/** Reads one block of Server-Sent Events (WHATWG HTML, 9.2.6). */
function fieldsOf(block) {
  const fields = {};
  for (const line of block.split(/\r\n|\n|\r/)) {
    const [, name, value = ''] = /^([^:]+)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (name) fields[name] = name === 'data' && 'data' in fields ? `${fields.data}\n${value}` : value;
  }
  return fields;
}

/** A list: `await` gives its first page, `for await` all of its items. */
class List {
  #fetch;
  #params;
  #first;

  constructor(fetchPage, params) {
    this.#fetch = fetchPage;
    this.#params = params;
  }

  then(onFulfilled, onRejected) {
    this.#first ??= this.#fetch(this.#params);
    return this.#first.then(onFulfilled, onRejected);
  }

  catch(onRejected) {
    return this.then(undefined, onRejected);
  }

  finally(onFinally) {
    return Promise.resolve(this).finally(onFinally);
  }

  async *[Symbol.asyncIterator]() {
    for (let cursor = this.#params?.cursor; ;) {
      const page = await this.#fetch({ ...this.#params, cursor });
      yield* page.data;
      if (!page.has_more) return;
      cursor = page.next_cursor;
    }
  }
}

class Resource {
  /** @type {Api} */
  #api;

  constructor(api) {
    this.#api = api;
  }

  /** Not enumerable, so that a logged resource is short. */
  get api() {
    return this.#api;
  }
}

class Charges extends Resource {
  create(params, options) {
    return this.api.post('/charges', params, options);
  }

  async get(id, options) {
    return this.api.get(`/charges/${safe(id)}`, undefined, options);
  }

  list(params, options) {
    return this.api.list('/charges', params, options);
  }

  async cancel(id, options) {
    return this.api.post(`/charges/${safe(id)}/cancel`, undefined, options);
  }

  usage(params, options) {
    return this.api.get('/charges/usage', params, options);
  }

  async wait(id, options) {
    return this.api.wait(`/charges/${safe(id)}`, (charge) => charge.status !== 'pending', options);
  }
}

class L402 extends Resource {
  createChallenge(params, options) {
    return this.api.post('/l402/challenges', params, options);
  }

  verify(authorization, resource, options) {
    return this.api.post('/l402/verify', { authorization, resource }, options);
  }

  async revoke(id, options) {
    return this.api.request('DELETE', `/l402/challenges/${safe(id)}`, undefined, options);
  }
}

class Withdrawals extends Resource {
  create(params, options) {
    return this.api.post('/withdrawals', params, options);
  }

  async get(id, options) {
    return this.api.get(`/withdrawals/${safe(id)}`, undefined, options);
  }

  list(params, options) {
    return this.api.list('/withdrawals', params, options);
  }

  quote(params, options) {
    return this.api.post('/withdrawals/quote', params, options);
  }

  async wait(id, options) {
    return this.api.wait(`/withdrawals/${safe(id)}`, (withdrawal) => ['succeeded', 'failed'].includes(withdrawal.status), options);
  }
}

class Balance extends Resource {
  get(options) {
    return this.api.get('/balance', undefined, options);
  }
}

class Transfers extends Resource {
  list(params, options) {
    return this.api.list('/ledger/transfers', params, options);
  }
}

class Keys extends Resource {
  create(params, options) {
    return this.api.post('/keys', params, options);
  }

  list(params, options) {
    return this.api.list('/keys', params, options);
  }

  async delete(id, options) {
    return this.api.request('DELETE', `/keys/${safe(id)}`, undefined, options);
  }
}

class Endpoints extends Resource {
  create(params, options) {
    return this.api.post('/webhooks/endpoints', params, options);
  }

  async get(id, options) {
    return this.api.get(`/webhooks/endpoints/${safe(id)}`, undefined, options);
  }

  list(params, options) {
    return this.api.list('/webhooks/endpoints', params, options);
  }

  async update(id, params, options) {
    return this.api.request('PATCH', `/webhooks/endpoints/${safe(id)}`, params, options);
  }

  async delete(id, options) {
    return this.api.request('DELETE', `/webhooks/endpoints/${safe(id)}`, undefined, options);
  }

  async rotateSecret(id, params, options) {
    return this.api.post(`/webhooks/endpoints/${safe(id)}/rotate-secret`, params, options);
  }

  async test(id, options) {
    return this.api.post(`/webhooks/endpoints/${safe(id)}/test`, undefined, options);
  }
}

class Deliveries extends Resource {
  list(params, options) {
    return this.api.list('/webhooks/deliveries', params, options);
  }

  async get(id, options) {
    return this.api.get(`/webhooks/deliveries/${safe(id)}`, undefined, options);
  }

  async redeliver(id, options) {
    return this.api.post(`/webhooks/deliveries/${safe(id)}/redeliver`, undefined, options);
  }
}

class Sandbox extends Resource {
  async payCharge(chargeId, params, options) {
    return this.api.post(`/sandbox/charges/${safe(chargeId)}/pay`, params, options);
  }

  createInvoice(params, options) {
    return this.api.post('/sandbox/invoices', params, options);
  }

  async releaseInvoice(id, options) {
    return this.api.post(`/sandbox/invoices/${safe(id)}/release`, undefined, options);
  }

  async cancelInvoice(id, options) {
    return this.api.post(`/sandbox/invoices/${safe(id)}/cancel`, undefined, options);
  }
}

class Webhooks {
  #secret;

  constructor(api, secret) {
    this.endpoints = new Endpoints(api);
    this.deliveries = new Deliveries(api);
    this.#secret = secret;
  }

  verify(rawBody, header, secret = this.#secret) {
    if (typeof rawBody !== 'string' && !(rawBody instanceof Uint8Array)) {
      throw new TypeError('rawBody is not the raw body: take the bytes before a framework parses them');
    }
    const body = Buffer.from(rawBody);
    const secrets = secretsOf(secret);
    if (typeof (header ?? '') === 'string') verifyPlain(body, header, secrets);
    else verifyStandard(body, header, secrets);
    return JSON.parse(body.toString());
  }
}

/** Reads one secret or several, in an array or with spaces between. */
function secretsOf(secret) {
  const secrets = (Array.isArray(secret) ? secret : [secret ?? '']).flatMap((one) => one.split(/\s+/)).filter(Boolean);
  // Anybody can sign with an empty key.
  if (secrets.length === 0) throw new TypeError('there is no webhook secret: pass it, or set LNTPAY_WEBHOOK_SECRET');
  return secrets;
}

/** The key of Standard Webhooks: what the base64 after whsec_ stands for. */
function standardKey(secret) {
  const text = secret.replace(/^whsec_/, '');
  if (!/^[A-Za-z0-9+/]{2,}={0,2}$/.test(text)) throw new TypeError('a webhook secret is not whsec_ and base64');
  return Buffer.from(text, 'base64');
}

function forged(detail) {
  return new LNTPayError(detail, { code: 'invalid_signature' });
}

/** Compares in a time that does not depend on where the two differ. */
function same(a, b) {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && crypto.timingSafeEqual(left, right);
}

/** x-lntpay-signature: the hex HMAC of the body; the key is the secret as it is written. */
function verifyPlain(body, header, secrets) {
  if (!header) throw forged('there is no signature');
  if (!secrets.some((secret) => same(crypto.createHmac('sha256', secret).update(body).digest('hex'), header))) {
    throw forged('the signature is not of this body and secret');
  }
}

/**
 * Standard Webhooks. x-lntpay-signature does not stand in for a missing webhook-signature: it covers no time, and who
 * repeats a recorded delivery could leave the other out.
 */
function verifyStandard(body, headers, secrets) {
  const find = (name) => {
    if (typeof headers.get === 'function') return headers.get(name) ?? '';
    const key = Object.keys(headers).find((one) => one.toLowerCase() === name);
    return key === undefined ? '' : String(headers[key]);
  };
  const [id, timestamp, signatures] = [find('webhook-id'), find('webhook-timestamp'), find('webhook-signature')];
  if (!id || !timestamp || !signatures) throw forged('webhook-id, webhook-timestamp or webhook-signature is missing');
  if (!/^\d{1,12}$/.test(timestamp)) throw forged('webhook-timestamp is no time');
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) throw forged('webhook-timestamp is more than five minutes away');
  const genuine = secrets.map(standardKey).some((key) => {
    const ours = `v1,${crypto.createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;
    return signatures.split(' ').some((theirs) => same(ours, theirs));
  });
  if (!genuine) throw forged('no signature is of this delivery and secret');
}

class Events extends Resource {
  list(params, options) {
    return this.api.list('/events', params, options);
  }

  async get(id, options) {
    return this.api.get(`/events/${safe(id)}`, undefined, options);
  }

  async *stream({ lastEventId, signal, silenceMs = STREAM_SILENCE_MS } = {}) {
    /** The last event that was yielded; before the first, the one to go on after. Its id is missing when there is none yet. */
    let last;
    for (let failures = 0; ; failures += 1) {
      let failure;
      try {
        last ??= await this.#position(lastEventId, signal);
        let behind = last.id === undefined;
        for await (const { data, retry } of this.api.blocks(last.id, silenceMs, signal)) {
          // The first block, with a retry, comes from any server; what comes after it shows a healthy one.
          if (retry === undefined) failures = 0;
          const fresh = behind ? await this.#all(last.sequence, signal) : [];
          behind = false;
          if (data !== undefined) fresh.push(JSON.parse(data));
          for (const event of fresh) {
            if (event.sequence <= last.sequence) continue;
            last = event;
            yield event;
          }
        }
      } catch (error) {
        signal?.throwIfAborted();
        if (!passes(error) && !(error.status >= 500)) throw error;
        failure = error;
      }
      await backOff(failures, this.api.backoffMs, failure, signal);
    }
  }

  /** Finds where a stream begins. Asked for before it, nothing is lost when the first connection breaks at once. */
  async #position(lastEventId, signal) {
    if (lastEventId !== undefined) return this.get(lastEventId, { signal });
    const page = await this.list({ limit: 1 }, { signal });
    return page.data[0] ?? { sequence: 0 };
  }

  /** Without an id to go on after, a stream begins at the present: these came before. */
  async #all(sequence, signal) {
    const events = [];
    for await (const event of this.list({ limit: 100 }, { signal })) {
      if (event.sequence <= sequence) break;
      events.push(event);
    }
    return events.reverse();
  }
}

/** The client. Without apiKey, baseUrl or webhookSecret it takes them from the environment. */
class LNTPay {
  constructor({ apiKey, baseUrl, webhookSecret, timeoutMs, maxRetries, backoffMs } = {}) {
    const { env } = process;
    const api = new Api({
      apiKey: apiKey ?? env.LNTPAY_API_KEY,
      baseUrl: baseUrl ?? env.LNTPAY_BASE_URL,
      timeoutMs,
      maxRetries,
      backoffMs,
    });
    this.charges = new Charges(api);
    this.l402 = new L402(api);
    this.withdrawals = new Withdrawals(api);
    this.balance = new Balance(api);
    this.transfers = new Transfers(api);
    this.keys = new Keys(api);
    this.webhooks = new Webhooks(api, webhookSecret ?? env.LNTPAY_WEBHOOK_SECRET);
    this.events = new Events(api);
    this.sandbox = new Sandbox(api);
  }

  gate(options) {
    return gate(this.charges, options);
  }
}

// What TypeScript and Babel make of `import LNTPay from` looks for this.
Object.defineProperty(exports, '__esModule', { value: true });
exports.default = LNTPay;
exports.LNTPay = LNTPay;
exports.LNTPayError = LNTPayError;
exports.MemoryUses = MemoryUses;
exports.l402 = l402;
