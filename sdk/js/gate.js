// The L402 gate: middleware that opens to whoever has paid. It answers as sdk/go/gate does, and takes its tokens.
// README.md shows it in use; index.d.ts says what each option is for.
'use strict';

const { STATUS_CODES } = require('node:http');
const { l402, keyOf } = require('./l402.js');

const { L402Error } = l402;

const DEFAULT_SERVICE = 'lntpay';
const DEFAULT_LIFETIME_SECONDS = 3600;
const DEFAULT_MAX_MINTING = 32;
const DEFAULT_MAX_USES = 1_000_000;
/** How long an invoice can be paid: at least what LNTPay allows, and not so long that unpaid ones fill the node. */
const MIN_EXPIRY_SECONDS = 60;
const MAX_EXPIRY_SECONDS = 604_800;
const USUAL_EXPIRY_SECONDS = 600;
/** A buyer waits for the invoice; after this they had better ask again. */
const MINT_TIMEOUT_MS = 5000;
const MINT_RETRIES = 1;
/** What a call of a store of uses may take. */
const USES_TIMEOUT_MS = 5000;
const RETRY_AFTER_SECONDS = 1;
/** The challenge has the macaroon three times, in base64, and clients read 16 KiB of headers (proxies often 8). */
const MAX_RESOURCE_BYTES = 1024;
/** LNTPay's limits on a charge. */
const MAX_DESCRIPTION_BYTES = 639;
const MAX_METADATA_BYTES = 500;
/** A use is remembered for so long after its token's end, just before which it may have been judged; clocks differ, too. */
const SLACK_MS = 60_000;
/** The last time that a Date can hold. */
const MAX_DATE_MS = 8.64e15;

/** Uses of one process. A restart forgets them. */
class MemoryUses {
  #ends = new Map();
  #limit;
  /** No entry ends before it, so that a full memory is not searched in vain. */
  #nextEnd = 0;

  constructor(limit = DEFAULT_MAX_USES) {
    this.#limit = limit;
  }

  take(tokenId, until) {
    if (this.#ends.has(tokenId)) return false;
    this.#forget(Date.now());
    if (this.#ends.size >= this.#limit) throw new Error(`the memory of used tokens is full: ${this.#limit}`);
    this.#ends.set(tokenId, until.getTime());
    return true;
  }

  giveBack(tokenId) {
    this.#ends.delete(tokenId);
  }

  #forget(now) {
    // The oldest are in front, and mostly end first.
    for (const [tokenId, end] of this.#ends) {
      if (end > now) break;
      this.#ends.delete(tokenId);
    }
    if (this.#ends.size < this.#limit || now < this.#nextEnd) return;
    this.#nextEnd = Infinity;
    for (const [tokenId, end] of this.#ends) {
      if (end <= now) this.#ends.delete(tokenId);
      else this.#nextEnd = Math.min(this.#nextEnd, end);
    }
  }
}

/** Something that the gate cannot do now. */
class Unavailable extends Error {
  constructor(detail, { cause, retryAfterMs } = {}) {
    super(detail, { cause });
    this.retryAfterSeconds = Math.max(RETRY_AFTER_SECONDS, Math.ceil((retryAfterMs ?? 0) / 1000));
  }
}

function warn(error) {
  const { cause } = error;
  process.emitWarning(`${error.message}${cause ? `: ${cause.message}` : ''}`, 'LNTPayGateWarning');
}

function check(right, message) {
  if (!right) throw new TypeError(`gate: ${message}`);
}

/** Names stand in lists with commas and colons. */
const isName = (name) => typeof name === 'string' && /^[\w.-]{1,64}$/.test(name);
const isWellFormed = (text) => Buffer.from(text).toString() === text;
const isCount = (value) => Number.isSafeInteger(value) && value > 0;
const isFunction = (value) => typeof value === 'function';
const isUses = (uses) => isFunction(uses?.take) && isFunction(uses?.giveBack);

/** Checks what a gate is told, and fills in the rest. */
function configOf(given) {
  const {
    key = process.env.LNTPAY_L402_KEY, oldKeys = [], service = DEFAULT_SERVICE, lifetime = DEFAULT_LIFETIME_SECONDS,
    once = false, uses, maxMinting = DEFAULT_MAX_MINTING, capabilities = [], onError = warn,
  } = given;
  check(key, 'there is no key: pass key, or set LNTPAY_L402_KEY');
  check(isName(service), 'service is not 1 to 64 letters, digits, dots, dashes and underscores');
  check(Array.isArray(capabilities) && capabilities.every(isName), 'capabilities are not names like a service');
  check(isCount(lifetime) && lifetime >= MIN_EXPIRY_SECONDS, `lifetime is not a number of seconds from ${MIN_EXPIRY_SECONDS}`);
  check(isCount(maxMinting), 'maxMinting is not a positive number');
  check(uses === undefined || isUses(uses), 'uses has no take and giveBack');
  for (const name of ['resource', 'description', 'metadata', 'capability', 'onError']) {
    check(given[name] === undefined || isFunction(given[name]), `${name} is not a function`);
  }
  // Who pays at the last moment still has half of the token's time.
  const invoiceExpiry = given.invoiceExpiry ?? Math.max(MIN_EXPIRY_SECONDS, Math.min(USUAL_EXPIRY_SECONDS, Math.floor(lifetime / 2)));
  check(isCount(invoiceExpiry) && invoiceExpiry >= MIN_EXPIRY_SECONDS && invoiceExpiry <= MAX_EXPIRY_SECONDS,
    `invoiceExpiry is not ${MIN_EXPIRY_SECONDS} to ${MAX_EXPIRY_SECONDS} seconds`);
  check(invoiceExpiry <= lifetime, 'invoiceExpiry is beyond lifetime: a token could be paid for that has ended');
  return {
    ...given, keys: [key, ...oldKeys].map(keyOf), service, capabilities, lifetime, invoiceExpiry, maxMinting, onError,
    price: priceOf(given), uses: once ? uses ?? new MemoryUses() : undefined,
  };
}

/** Reads the price, which is in millisatoshi or satoshi, as a function of the request. */
function priceOf({ price, priceSats }) {
  check((price === undefined) !== (priceSats === undefined), 'give either price or priceSats');
  if (isFunction(price)) return async (req) => msatOf(await price(req));
  check(price !== undefined || Number.isSafeInteger(priceSats), 'priceSats is not a whole number');
  const fixed = msatOf(price ?? priceSats * 1000);
  return () => fixed;
}

function msatOf(price) {
  const msat = typeof price === 'bigint' ? Number(price) : price;
  check(Number.isSafeInteger(msat) && msat >= 0, 'the price is not a whole number of millisatoshi');
  return msat;
}

/**
 * The path as the client has asked for it. Express takes the mount off url, and a token must not open other mounts. It is
 * not decoded or cleaned up either: routers differ in what they make of it, and of a "#", which no client should send.
 */
function pathOf(req) {
  const target = req.originalUrl || req.url;
  return target.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '').split('?', 1)[0] || '/';
}

/** As much of a text as fits. */
function cut(text, bytes) {
  return new TextDecoder().decode(Buffer.from(text).subarray(0, bytes), { stream: true });
}

function answer(res, status, code, { detail, headers = {}, ...more }) {
  if (isOver(res)) return;
  const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail, code, ...more });
  res.statusCode = status;
  const all = { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store', 'Content-Length': Buffer.byteLength(body), ...headers };
  for (const [name, value] of Object.entries(all)) res.setHeader(name, value);
  res.end(body);
}

/** The values of a token's caveats of one kind. The first is as it was minted, the last is what counts. */
function valuesOf(macaroon, condition) {
  return macaroon.caveats.filter((caveat) => caveat.condition === condition).map(({ value }) => value);
}

const dateOf = (seconds, moreMs = 0) => new Date(Math.min(Number(seconds) * 1000 + moreMs, MAX_DATE_MS));

/** What the handler is told. A preimage among the caveats is not for its logs. */
function paymentOf({ macaroon }, { service, resource }) {
  const end = valuesOf(macaroon, `${service}_valid_until`).at(-1);
  return {
    chargeId: macaroon.chargeId,
    paymentHash: macaroon.paymentHash,
    amountMsat: Number(valuesOf(macaroon, `${service}_amount_msat`)[0]),
    service,
    resource,
    validUntil: end === undefined ? undefined : dateOf(end),
    caveats: macaroon.caveats.filter(({ condition }) => condition !== 'preimage'),
  };
}

function receiptOf({ chargeId, paymentHash }) {
  const receipt = { method: 'lightning', challengeId: chargeId, reference: paymentHash, status: 'success', timestamp: new Date().toISOString() };
  return Buffer.from(JSON.stringify(receipt)).toString('base64url');
}

/** Makes a promise of a call, whatever it is. */
async function promised(call) {
  return call();
}

/** Waits for a promise, but not for ever. */
async function within(ms, promise) {
  let clock;
  const late = new Promise((_, reject) => {
    clock = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(clock);
  }
}

/** The use of a token by one request. It is given back, once, when the request comes to nothing. */
class Use {
  #undo;

  constructor(undo = () => {}) {
    this.#undo = undo;
  }

  giveBack() {
    const undo = this.#undo;
    this.#undo = () => {};
    undo();
  }

  /** Lets the answer decide. What a client got of it must not be had again for nothing by breaking the connection. */
  end(res) {
    if (!res.headersSent || res.statusCode >= 500) this.giveBack();
    this.#undo = () => {};
  }

  /**
   * Follows the answer. A connection that closes before one says nothing: the handler is at work, which a client that leaves
   * again and again must not have for nothing. If it throws by then, that still gives the use back.
   */
  follow(res) {
    const end = () => this.end(res);
    res.once('finish', end).once('close', () => res.headersSent && end());
    return this;
  }
}

/** Whether an answer would reach nobody: another has been given, or the connection is closed. */
const isOver = (res) => res.headersSent || res.destroyed || res.closed;

class Gate {
  #charges;
  #config;
  #minting = 0;

  constructor(charges, options) {
    this.#charges = charges;
    this.#config = configOf(options);
  }

  /** Runs next for what is paid or free, and answers the rest. */
  async handle(req, res, next) {
    let use;
    try {
      use = await this.#admit(req, res);
    } catch (error) {
      this.#fail(error, res, next);
      return;
    }
    if (!use) return;
    try {
      await next();
    } catch (error) {
      use.end(res);
      throw error;
    }
  }

  /** Judges a request. What is not let through has been answered. */
  async #admit(req, res) {
    const asked = await this.#ask(req);
    if (asked.amountMsat === 0) return new Use();
    if (Buffer.byteLength(asked.resource) > MAX_RESOURCE_BYTES) {
      answer(res, 414, 'invalid_request', { detail: 'The address is too long to be sold.' });
      return undefined;
    }
    const { admitted, use, reason } = await this.#judge(req, res, asked);
    if (admitted) {
      if (isOver(res)) { // While prices or a store were asked.
        use.giveBack();
        return undefined;
      }
      req.payment = paymentOf(admitted, asked);
      res.setHeader('Payment-Receipt', receiptOf(req.payment));
      return use;
    }
    if (reason === undefined || new L402Error(reason).genuine) await this.#challenge(req, res, asked, reason);
    // Without an invoice, so that forgeries do not fill the node.
    else answer(res, 401, 'invalid_token', { detail: 'The token is not one of this gate, or was not paid.', reason, headers: { 'WWW-Authenticate': 'L402' } });
    return undefined;
  }

  /** What the request needs. */
  async #ask(req) {
    const { price, service, resource, capability, capabilities } = this.#config;
    const asked = {
      service,
      amountMsat: await price(req),
      resource: resource ? await resource(req) : `${req.method} ${pathOf(req)}`,
      capability: await capability?.(req),
    };
    check(typeof asked.resource === 'string' && isWellFormed(asked.resource), 'the resource is not a string');
    // Whoever bought a token of this gate would be refused.
    check(!asked.capability || capabilities.length === 0 || capabilities.includes(asked.capability), 'the capability is not one of capabilities');
    return asked;
  }

  /** Finds a token that is good and, if it opens one request only, takes it. */
  async #judge(req, res, asked) {
    let refused;
    for (const credential of credentialsOf(req)) {
      let reason = credential.reason ?? this.#refusal(credential, asked);
      if (reason === undefined) {
        const use = await this.#take(res, credential, asked);
        if (use) return { admitted: credential, use };
        reason = 'used';
      }
      // What says most: of a genuine token there is a new one to buy.
      if (refused === undefined || !new L402Error(refused).genuine) refused = reason;
    }
    return { reason: refused };
  }

  /** Why a token is refused, under the key that minted it. */
  #refusal(credential, asked) {
    for (const key of this.#config.keys) {
      try {
        l402.verify(key, credential, asked);
        return undefined;
      } catch (error) {
        if (!(error instanceof L402Error)) throw error;
        if (error.reason !== 'bad_signature') return error.reason;
      }
    }
    return 'bad_signature';
  }

  /** Takes the one use of a token, until the request has come to nothing. */
  async #take(res, { macaroon }, { service }) {
    const { uses } = this.#config;
    if (!uses) return new Use();
    const { tokenId } = macaroon;
    // As minted: a holder who narrows the end must not be forgotten before the wider token ends.
    const until = dateOf(valuesOf(macaroon, `${service}_valid_until`)[0] ?? Infinity, SLACK_MS);
    let first;
    let late = false;
    try {
      const taking = promised(() => uses.take(tokenId, until));
      taking.then((taken) => { if (late && taken === true) this.#giveBack(tokenId); }, () => {});
      first = await within(USES_TIMEOUT_MS, taking);
    } catch (cause) {
      late = true;
      throw new Unavailable('The gate cannot tell whether the token was used.', { cause });
    }
    // Only now: who has not taken must not give back.
    return first === true ? new Use(() => this.#giveBack(tokenId)).follow(res) : undefined;
  }

  async #giveBack(tokenId) {
    try {
      await within(USES_TIMEOUT_MS, promised(() => this.#config.uses.giveBack(tokenId)));
    } catch (cause) {
      this.#config.onError(new Error('the use of a token was not given back', { cause }));
    }
  }

  async #challenge(req, res, asked, reason) {
    const { charge, macaroon } = await this.#mint(req, asked);
    answer(res, 402, 'payment_required', {
      detail: reason ? `The token is no longer good (${reason}). Pay the invoice for a new one.` : 'Pay the invoice, and repeat the request with macaroon and preimage.',
      reason,
      amount_msat: charge.amount_msat,
      invoice: charge.bolt11,
      macaroon: String(macaroon),
      expires_at: charge.expires_at,
      charge_id: charge.id,
      headers: { 'WWW-Authenticate': l402.challenge(macaroon, charge.bolt11) },
    });
  }

  /** Makes the charge and its token. */
  async #mint(req, asked) {
    const { keys, maxMinting } = this.#config;
    const params = await this.#charge(req, asked);
    if (this.#minting >= maxMinting) throw new Unavailable('Too many invoices are being made.');
    this.#minting += 1;
    try {
      const charge = await this.#charges.create(params, { signal: AbortSignal.timeout(MINT_TIMEOUT_MS), maxRetries: MINT_RETRIES });
      if (!charge.bolt11) throw new Error('the charge has no invoice');
      const macaroon = l402.mint(keys[0], { chargeId: charge.id, paymentHash: charge.payment_hash, caveats: this.#caveats(asked) });
      return { charge, macaroon };
    } catch (cause) {
      throw new Unavailable('No invoice can be made now.', { cause, retryAfterMs: cause.retryAfterMs });
    } finally {
      this.#minting -= 1;
    }
  }

  #caveats({ service, resource, amountMsat }) {
    const { lifetime, capabilities } = this.#config;
    const validUntil = new Date(Date.now() + lifetime * 1000);
    return l402.caveats({ service, resource, validUntil, amountMsat, capabilities: capabilities.length > 0 ? capabilities : undefined });
  }

  async #charge(req, { service, resource, amountMsat }) {
    const { description, metadata, invoiceExpiry } = this.#config;
    return {
      amount_msat: amountMsat,
      description: cut(description ? String(await description(req)) : resource, MAX_DESCRIPTION_BYTES),
      metadata: { ...await metadata?.(req), l402_service: service, l402_resource: cut(resource, MAX_METADATA_BYTES) },
      expires_in: invoiceExpiry,
    };
  }

  /** Answers what went wrong, or leaves it to the framework. */
  #fail(error, res, next) {
    if (error instanceof Unavailable) {
      if (error.cause) this.#config.onError(error);
      answer(res, 503, 'service_unavailable', { detail: error.message, headers: { 'Retry-After': String(error.retryAfterSeconds) } });
      return;
    }
    // A next without an argument would take the error for a payment.
    if (next.length > 0) {
      next(error);
      return;
    }
    this.#config.onError(error);
    answer(res, 500, 'internal_error', { detail: 'The gate has failed.' });
  }
}

/** The tokens of a request: all Authorization headers where Node has them, not only the first. */
function credentialsOf(req) {
  try {
    return l402.fromHeaders(req.headersDistinct ?? req.headers);
  } catch (error) {
    if (!(error instanceof L402Error)) throw error;
    return error.reason === 'no_credential' ? [] : [{ reason: error.reason }];
  }
}

/** Makes the middleware. */
function gate(charges, options) {
  const made = new Gate(charges, options);
  return (req, res, next) => made.handle(req, res, next);
}

module.exports = { gate, MemoryUses };
