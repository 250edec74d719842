// L402 tokens: macaroons that are worth something once the invoice beside them is paid. They are byte for byte those of
// sdk/go/l402, which names the sources of the wire; sdk/testdata/l402.json holds both to it. index.d.ts says what each
// function is for.
'use strict';

const crypto = require('node:crypto');

/** Limits on what is read from the outside. */
const MAX_CAVEATS = 64;
const MAX_MACAROON_BYTES = 8 << 10;
const MAX_CREDENTIALS = 4;

/** The tags of the binary format, version 2. */
const VERSION = 2;
const END = 0;
const LOCATION = 1;
const IDENTIFIER = 2;
const VERIFICATION = 4;
const SIGNATURE = 6;

const HASH_BYTES = 32;
/** u16 version 0, payment hash, token id. */
const IDENTIFIER_BYTES = 2 + 2 * HASH_BYTES;
const UUID_BYTES = 16;

/** What derives the first key of the chain from a root key, in all macaroon libraries. */
const KEY_GENERATOR = 'macaroons-key-generator';
const ROOT_KEY = 'lntpay l402 root key v1\0';
const TOKEN_ID = 'lntpay l402 token id v1\0';

/** The alphabet of LNTPay's ids: Crockford's base32 in lower case. */
const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';
const HEX_32 = /^[0-9a-f]{64}$/i;

/** What says that a token is none of ours or was never paid. After the other reasons a new one may be bought. */
const FORGERIES = new Set(['malformed', 'bad_signature', 'wrong_preimage']);

/** Why a token is refused, or none was found. Switch on `reason`. */
class L402Error extends Error {
  constructor(reason, message = `the token is refused: ${reason}`) {
    super(message);
    this.name = 'L402Error';
    this.reason = reason;
  }

  /** Whether the token was minted by us and paid. */
  get genuine() {
    return !FORGERIES.has(this.reason) && !this.reason.startsWith('no_');
  }
}

const malformed = (what) => new L402Error('malformed', `not a macaroon: ${what}`);

function hmac(key, ...parts) {
  const mac = crypto.createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Reads a key, and keeps it where no log shows it. */
function keyOf(key) {
  if (key instanceof crypto.KeyObject) return key;
  const text = typeof key === 'string' ? key.trim() : '';
  if (!HEX_32.test(text)) throw new TypeError('an L402 key has 64 hex digits (openssl rand -hex 32)');
  return crypto.createSecretKey(Buffer.from(text, 'hex'));
}

/** Reads the 128 bits of a charge's id. */
function uuidOf(chargeId) {
  const text = /^ch_([0-7][0-9a-hjkmnp-tv-z]{25})$/.exec(chargeId)?.[1];
  if (text === undefined) throw new TypeError('chargeId is not the id of a charge');
  const bits = [...text].reduce((sum, char) => sum << 5n | BigInt(CROCKFORD.indexOf(char)), 0n);
  return Buffer.from(bits.toString(16).padStart(2 * UUID_BYTES, '0'), 'hex');
}

function chargeIdOf(uuid) {
  let bits = BigInt(`0x${uuid.toString('hex')}`);
  let text = '';
  for (let i = 0; i < 26; i += 1) {
    text = CROCKFORD[Number(bits & 31n)] + text;
    bits >>= 5n;
  }
  return `ch_${text}`;
}

/** Splits "condition=value". What has no condition means nothing to us, and is skipped like every unknown one. */
function caveatOf(text) {
  const at = text.indexOf('=');
  return at > 0 ? { condition: text.slice(0, at), value: text.slice(at + 1) } : { condition: '', value: text };
}

/** Takes a caveat of ours as bytes: what is signed must be what was meant. */
function bytesOf(caveat) {
  const bytes = Buffer.from(String(caveat));
  if (caveatOf(String(caveat)).condition === '' || bytes.toString() !== caveat) throw new TypeError('a caveat is not condition=value');
  return bytes;
}

/** A bearer token that only its minter can make, and that anybody can narrow. It is as good as money, so no log shows it. */
class Macaroon {
  #id;
  #caveats;
  #signature;
  #location;

  constructor(id, caveats, signature, location = Buffer.alloc(0)) {
    this.#id = id;
    this.#caveats = caveats;
    this.#signature = signature;
    this.#location = location;
  }

  get paymentHash() {
    return this.#id.toString('hex', 2, 2 + HASH_BYTES);
  }

  get tokenId() {
    return this.#id.toString('hex', 2 + HASH_BYTES);
  }

  get chargeId() {
    return chargeIdOf(this.#id.subarray(2 + HASH_BYTES, 2 + HASH_BYTES + UUID_BYTES));
  }

  get caveats() {
    return this.#caveats.map((bytes) => caveatOf(bytes.toString()));
  }

  attenuate(...caveats) {
    const added = caveats.map(bytesOf);
    // The signature so far is the key of the next one.
    const signature = added.reduce((key, caveat) => hmac(key, caveat), this.#signature);
    return bounded(new Macaroon(this.#id, [...this.#caveats, ...added], signature, this.#location));
  }

  /** Whether the key's chain ends in this signature. */
  signedBy(key) {
    const again = this.#caveats.reduce((chain, caveat) => hmac(chain, caveat), firstSignature(key, this.#id));
    return crypto.timingSafeEqual(again, this.#signature);
  }

  toBytes() {
    const end = Buffer.of(END);
    const caveats = this.#caveats.flatMap((caveat) => [field(IDENTIFIER, caveat), end]);
    const location = this.#location.length > 0 ? [field(LOCATION, this.#location)] : [];
    return Buffer.concat([Buffer.of(VERSION), ...location, field(IDENTIFIER, this.#id), end, ...caveats, end, field(SIGNATURE, this.#signature)]);
  }

  toString() {
    return this.toBytes().toString('base64');
  }
}

/** Signs an identifier under the root key that derives from it. */
function firstSignature(key, id) {
  return hmac(hmac(KEY_GENERATOR, hmac(key, ROOT_KEY, id)), id);
}

function bounded(macaroon) {
  if (macaroon.caveats.length > MAX_CAVEATS) throw new TypeError(`a macaroon has more than ${MAX_CAVEATS} caveats`);
  if (macaroon.toBytes().length > MAX_MACAROON_BYTES) throw new TypeError(`the caveats make a macaroon of more than ${MAX_MACAROON_BYTES} bytes`);
  return macaroon;
}

function field(tag, data) {
  const size = data.length < 0x80 ? [data.length] : [data.length & 0x7f | 0x80, data.length >> 7];
  return Buffer.concat([Buffer.of(tag, ...size), data]);
}

/** Takes fields off the front of a macaroon. */
class Reader {
  #rest;

  constructor(bytes) {
    this.#rest = bytes;
  }

  next() {
    return this.#rest[0];
  }

  /** The length of a field: a varint, whose higher bits matter only in that they are too many. */
  #size() {
    let size = 0;
    for (let i = 1; i <= 10 && i < this.#rest.length; i += 1) {
      const byte = this.#rest[i];
      size += (byte & 0x7f) * 2 ** (7 * (i - 1));
      if (byte < 0x80) {
        this.#rest = this.#rest.subarray(i + 1);
        return size;
      }
    }
    throw malformed('a length is none');
  }

  /** The data of the next field if it has this tag. */
  optional(tag) {
    if (this.next() !== tag) return Buffer.alloc(0);
    const size = this.#size();
    if (size > this.#rest.length) throw malformed('a field is cut off');
    const data = this.#rest.subarray(0, size);
    this.#rest = this.#rest.subarray(size);
    return data;
  }

  required(tag) {
    if (this.next() !== tag) throw malformed('a field is out of place');
    return this.optional(tag);
  }

  end() {
    if (this.next() !== END) throw malformed('a section has no end');
    this.#rest = this.#rest.subarray(1);
  }

  /** A caveat of the first party; a third party's would need its discharge, which L402 has no place for. */
  caveat() {
    if (this.optional(LOCATION).length > 0) throw malformed('a caveat is of a third party');
    const caveat = this.required(IDENTIFIER);
    if (this.optional(VERIFICATION).length > 0) throw malformed('a caveat is of a third party');
    this.end();
    return caveat;
  }
}

/** Reads the binary format. What is signed must have one reading only, so fields out of place are refused. */
function unmarshal(bytes) {
  if (bytes[0] !== VERSION) throw malformed('not of version 2');
  const reader = new Reader(bytes.subarray(1));
  const location = reader.optional(LOCATION);
  const id = reader.required(IDENTIFIER);
  reader.end();
  const caveats = [];
  while (reader.next() !== undefined && reader.next() !== END) {
    caveats.push(reader.caveat());
    if (caveats.length > MAX_CAVEATS) throw malformed(`more than ${MAX_CAVEATS} caveats`);
  }
  reader.end();
  const signature = reader.required(SIGNATURE);
  if (reader.next() !== undefined || signature.length !== HASH_BYTES) throw malformed('its signature is none');
  if (id.length !== IDENTIFIER_BYTES || id.readUInt16BE(0) !== 0) throw malformed('its identifier is not of version 0');
  return new Macaroon(id, caveats, signature, location);
}

/** Reads base64 of either alphabet, padded or not, since clients differ. */
function parseMacaroon(text) {
  if (Math.floor(text.length / 4) * 3 > MAX_MACAROON_BYTES + 2) throw malformed('too long');
  const bare = text.replace(/=+$/, '');
  if (!/^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)$/.test(bare) || bare.length % 4 === 1) throw malformed('not base64');
  return unmarshal(Buffer.from(bare, 'base64'));
}

/** A token with the proof that it was paid. No log shows it. */
class Credential {
  #preimage;

  constructor(macaroon, preimage) {
    if (!(macaroon instanceof Macaroon)) throw new TypeError('macaroon is not a Macaroon: parseMacaroon reads one');
    if (!HEX_32.test(preimage)) throw new TypeError('a preimage has 64 hex digits');
    Object.defineProperty(this, 'macaroon', { value: macaroon, enumerable: true });
    this.#preimage = Buffer.from(preimage, 'hex');
  }

  /** Whether the preimage is that of the macaroon's payment hash. */
  get paid() {
    const hash = crypto.createHash('sha256').update(this.#preimage).digest();
    return crypto.timingSafeEqual(hash, Buffer.from(this.macaroon.paymentHash, 'hex'));
  }

  provenBy(preimage) {
    return HEX_32.test(preimage) && crypto.timingSafeEqual(Buffer.from(preimage, 'hex'), this.#preimage);
  }

  toString() {
    return `L402 ${this.macaroon}:${this.#preimage.toString('hex')}`;
  }
}

/** Runs read, and is undefined for what is malformed. */
function readable(read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof L402Error) return undefined;
    throw error;
  }
}

/** Reads <macaroon>[,<macaroon>…]:<preimage>. */
function parseTokens(text) {
  const colon = text.indexOf(':');
  const preimage = text.slice(colon + 1);
  if (colon < 0 || !HEX_32.test(preimage)) return [];
  const macaroons = text.slice(0, colon).split(',', MAX_CREDENTIALS + 1).map((one) => readable(() => parseMacaroon(one)));
  return macaroons.filter(Boolean).map((macaroon) => new Credential(macaroon, preimage));
}

/** Reads a macaroon in hex that carries its preimage, as Aperture's gRPC clients send it. */
function parsePaidMacaroon(text) {
  if (text.length > 2 * MAX_MACAROON_BYTES || !/^(?:[0-9a-f]{2})*$/i.test(text)) return [];
  const macaroon = readable(() => unmarshal(Buffer.from(text, 'hex')));
  const paid = macaroon?.caveats.find(({ condition, value }) => condition === 'preimage' && HEX_32.test(value));
  return paid ? [new Credential(macaroon, paid.value)] : [];
}

/** The values of a header, whoever holds them: Node (headers, headersDistinct) or fetch. */
function valuesOf(headers, name) {
  const value = typeof headers.get === 'function' ? headers.get(name) : headers[name];
  return [value ?? []].flat();
}

const SCHEME = /^(?:L402|LSAT)(?: |$)/i;

function fromHeaders(headers) {
  const authorizations = valuesOf(headers, 'authorization').map((value) => value.trim()).filter((value) => SCHEME.test(value));
  const macaroons = ['macaroon', 'grpc-metadata-macaroon'].flatMap((name) => valuesOf(headers, name));
  if (authorizations.length + macaroons.length === 0) throw new L402Error('no_credential', 'the request has no L402 token');
  const found = [
    ...authorizations.flatMap((value) => parseTokens(value.replace(SCHEME, '').trim())),
    ...macaroons.flatMap(parsePaidMacaroon),
  ];
  if (found.length === 0) throw new L402Error('malformed');
  return found.slice(0, MAX_CREDENTIALS);
}

function parseAuthorization(value) {
  return fromHeaders({ authorization: value });
}

function caveats({ service, resource, validUntil, amountMsat, capabilities }) {
  const given = {
    services: service === undefined ? undefined : `${service}:0`,
    [`${service}_resource`]: resource,
    [`${service}_valid_until`]: validUntil && Math.floor(validUntil.getTime() / 1000),
    [`${service}_amount_msat`]: amountMsat,
    [`${service}_capabilities`]: capabilities?.join(','),
  };
  return Object.entries(given).filter(([, value]) => value !== undefined).map(([condition, value]) => `${condition}=${value}`);
}

function mint(key, { chargeId, paymentHash, caveats: conditions = [] }) {
  if (!HEX_32.test(paymentHash)) throw new TypeError('paymentHash is not 64 hex digits');
  const secret = keyOf(key);
  const hash = Buffer.from(paymentHash, 'hex');
  const uuid = uuidOf(chargeId);
  const unique = hmac(secret, TOKEN_ID, uuid, hash).subarray(0, HASH_BYTES - UUID_BYTES);
  const id = Buffer.concat([Buffer.alloc(2), hash, uuid, unique]);
  return new Macaroon(id, [], firstSignature(secret, id)).attenuate(...conditions);
}

function verify(key, credential, request) {
  if (!credential.macaroon.signedBy(keyOf(key))) throw new L402Error('bad_signature');
  if (!credential.paid) throw new L402Error('wrong_preimage');
  for (const condition of conditionsOf(request, credential)) judge(condition, credential.macaroon.caveats);
}

/** Reads a list with commas. The tier of a service is dropped: none but the base tier has a meaning here. */
const listOf = (value) => value.split(',').map((name) => name.split(':', 1)[0].trim());

const subset = (narrow, wide) => listOf(narrow).every((name) => listOf(wide).includes(name));
const equal = (narrow, wide) => narrow === wide;

/** Reads a whole number of 64 bits; a token with another is refused. */
function numberOf(value) {
  if (!/^[+-]?\d+$/.test(value)) return undefined;
  const number = BigInt(value);
  return number >= 0n && number < 2n ** 63n ? number : undefined;
}

/** Whether both are numbers, and the first is not more. */
function noMore(narrow, wide) {
  const [n, w] = [numberOf(narrow), numberOf(wide)];
  return n !== undefined && w !== undefined && n <= w;
}

/**
 * How caveats of each kind are judged: each may only be narrower than the one before, and the last must fit the request
 * (macaroon-spec.md, "Caveat Verification").
 */
function conditionsOf({ service, needService = true, resource, capability, amountMsat = 0, now = new Date() }, credential) {
  const seconds = String(Math.floor(now.getTime() / 1000) + 1);
  return [
    { name: 'services', required: needService, narrower: subset, fits: (value) => !needService || listOf(value).includes(service), otherwise: 'wrong_service' },
    { name: `${service}_resource`, required: true, narrower: equal, fits: (value) => value === resource, otherwise: 'wrong_resource' },
    { name: `${service}_capabilities`, narrower: subset, fits: (value) => !capability || listOf(value).includes(capability), otherwise: 'wrong_capability' },
    { name: `${service}_valid_until`, narrower: noMore, fits: (value) => noMore(seconds, value), otherwise: 'expired' },
    { name: `${service}_amount_msat`, required: amountMsat > 0, narrower: noMore, fits: (value) => noMore(String(amountMsat), value), otherwise: 'underpaid' },
    { name: 'preimage', narrower: equal, fits: (value) => credential.provenBy(value), otherwise: 'wrong_preimage' },
  ];
}

/** Unknown conditions are skipped, as the specification demands: a holder may add some for others. */
function judge({ name, required, narrower, fits, otherwise }, all) {
  const values = all.filter(({ condition }) => condition === name).map(({ value }) => value);
  values.slice(1).forEach((value, i) => {
    if (!narrower(value, values[i])) throw new L402Error('widened');
  });
  if (values.length === 0 ? required : !fits(values.at(-1))) throw new L402Error(otherwise);
}

/** The two WWW-Authenticate headers: today's, and the older form that Aperture's clients look for. */
function challenge(macaroon, invoice) {
  return [
    `L402 version="0", token="${macaroon}", macaroon="${macaroon}", invoice="${invoice}"`,
    `LSAT macaroon="${macaroon}", invoice="${invoice}"`,
  ];
}

/** Reads one challenge, or is undefined if it is none of ours. */
function readChallenge(value) {
  if (!SCHEME.test(value)) return undefined;
  const found = {};
  for (const [, name, text] of value.matchAll(/\b(token|macaroon|invoice)="([^"]*)"/gi)) {
    if (name.toLowerCase() === 'invoice') found.invoice = text;
    else found.macaroon = readable(() => parseMacaroon(text)) ?? found.macaroon;
  }
  return found.macaroon && found.invoice ? found : undefined;
}

function parseChallenge(header) {
  const values = typeof header === 'string' || Array.isArray(header) ? [header].flat() : valuesOf(header ?? {}, 'www-authenticate');
  // fetch makes one value of several.
  for (const value of values.flatMap((one) => one.split(/,\s*(?=(?:L402|LSAT) )/i))) {
    const found = readChallenge(value.trim());
    if (found) return found;
  }
  throw new L402Error('no_challenge', 'the answer has no L402 challenge');
}

module.exports = {
  keyOf,
  l402: { mint, verify, caveats, challenge, parseAuthorization, parseChallenge, parseMacaroon, fromHeaders, Credential, L402Error },
};
