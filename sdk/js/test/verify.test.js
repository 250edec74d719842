'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { LNTPay, LNTPayError } = require('../index.js');

const lntpay = new LNTPay();
const refused = { name: 'LNTPayError', code: 'invalid_signature' };

/** The example of the guide. */
const guide = fs.readFileSync(path.join(__dirname, '../../../docs/webhooks.md'), 'utf8');
const vector = Object.fromEntries(['secret', 'raw body', 'webhook-id', 'webhook-timestamp', 'webhook-signature', 'x-lntpay-signature']
  .map((name) => [name, new RegExp(`^    ${name} +(.+)$`, 'm').exec(guide)[1]]));
const { secret, 'raw body': body, ...vectorHeaders } = vector;

/** Runs check at the time of the example, or so many seconds after it. */
function at(seconds, check) {
  const { now } = Date;
  Date.now = () => (Number(vector['webhook-timestamp']) + seconds) * 1000;
  try {
    return check();
  } finally {
    Date.now = now;
  }
}

const other = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;

/** The headers of a delivery made now. */
function sign(text, ...secrets) {
  const id = 'evt_1';
  const timestamp = String(Math.floor(Date.now() / 1000));
  const signatures = secrets.map((one) => {
    const key = Buffer.from(one.slice('whsec_'.length), 'base64');
    return `v1,${crypto.createHmac('sha256', key).update(`${id}.${timestamp}.${text}`).digest('base64')}`;
  });
  const plain = crypto.createHmac('sha256', secrets.at(-1)).update(text).digest('hex');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' '), 'x-lntpay-signature': plain };
}

test("the guide's example is genuine by either signature", () => {
  for (const raw of [body, Buffer.from(body), new Uint8Array(Buffer.from(body))]) {
    assert.deepEqual(at(0, () => lntpay.webhooks.verify(raw, vectorHeaders, secret)), { test: 2432232314 });
    assert.deepEqual(lntpay.webhooks.verify(raw, vector['x-lntpay-signature'], secret), { test: 2432232314 });
  }
});

test('headers may be of Node, of fetch, and in any case', () => {
  const upper = Object.fromEntries(Object.entries(vectorHeaders).map(([name, value]) => [name.toUpperCase(), value]));
  for (const headers of [vectorHeaders, upper, new Headers(vectorHeaders)]) {
    assert.ok(at(0, () => lntpay.webhooks.verify(body, headers, secret)));
  }
});

test('the time may be five minutes away, in either direction', () => {
  for (const seconds of [-300, 299, 300]) assert.ok(at(seconds, () => lntpay.webhooks.verify(body, vectorHeaders, secret)));
  for (const seconds of [-301, 301, 1e6]) assert.throws(() => at(seconds, () => lntpay.webhooks.verify(body, vectorHeaders, secret)), refused);
});

test('a changed delivery is refused', () => {
  const changes = {
    'another body': [`${body} `, vectorHeaders],
    'another id': [body, { ...vectorHeaders, 'webhook-id': 'msg_2' }],
    'another time': [body, { ...vectorHeaders, 'webhook-timestamp': '1614265331' }],
    'a time that is none': [body, { ...vectorHeaders, 'webhook-timestamp': '1614265330.0' }],
    'another signature': [body, { ...vectorHeaders, 'webhook-signature': `v1,${'A'.repeat(43)}=` }],
    'half a signature': [body, { ...vectorHeaders, 'webhook-signature': vector['webhook-signature'].slice(0, 20) }],
    'a signature of another version': [body, { ...vectorHeaders, 'webhook-signature': vector['webhook-signature'].replace('v1,', 'v2,') }],
    'no signature': [body, { ...vectorHeaders, 'webhook-signature': undefined }],
    'only x-lntpay-signature among headers': [body, { 'x-lntpay-signature': vector['x-lntpay-signature'] }],
    'no headers': [body, {}],
    'another x-lntpay-signature': [body, '0'.repeat(64)],
    'half an x-lntpay-signature': [body, vector['x-lntpay-signature'].slice(0, 32)],
    'x-lntpay-signature of another body': [`${body}\n`, vector['x-lntpay-signature']],
    'an empty x-lntpay-signature': [body, ''],
    'no x-lntpay-signature': [body, undefined],
  };
  for (const [name, [raw, header]] of Object.entries(changes)) {
    assert.throws(() => at(0, () => lntpay.webhooks.verify(raw, header, secret)), refused, name);
  }
  for (const header of [vectorHeaders, vector['x-lntpay-signature']]) {
    assert.throws(() => at(0, () => lntpay.webhooks.verify(body, header, other)), refused);
  }
  assert.ok(at(0, () => lntpay.webhooks.verify(body, { ...vectorHeaders, 'webhook-signature': `v1a,x ${vector['webhook-signature']}` }, secret)));
});

test('a secret is rotated without a refusal', () => {
  const text = '{"id":"evt_1"}';
  // What LNTPay signs with, the newest first, and which of the receivers then accept by either signature.
  const phases = [
    { signed: [secret], old: [true, true], new: [false, false] },
    { signed: [other, secret], old: [true, true], new: [true, false] },
    { signed: [other], old: [false, false], new: [true, true] },
  ];
  const accepts = (header, with_) => {
    try {
      return lntpay.webhooks.verify(text, header, with_).id === 'evt_1';
    } catch (error) {
      assert.ok(error instanceof LNTPayError);
      return false;
    }
  };
  for (const phase of phases) {
    const headers = sign(text, ...phase.signed);
    const both = (with_) => [accepts(headers, with_), accepts(headers['x-lntpay-signature'], with_)];
    assert.deepEqual(both(secret), phase.old);
    assert.deepEqual(both(other), phase.new);
    assert.deepEqual(both([other, secret]), [true, true]);
    assert.deepEqual(both(`${other} ${secret}`), [true, true]);
  }
});

test('a mistake of the caller is a TypeError', () => {
  const signed = sign('{}', secret);
  for (const bad of [undefined, '', ' ', [], ['']]) {
    assert.throws(() => new LNTPay({ webhookSecret: '' }).webhooks.verify('{}', signed, bad), TypeError, JSON.stringify(bad));
  }
  for (const bad of ['whsec_', 'whsec_!', `${secret} whsec_`]) assert.throws(() => lntpay.webhooks.verify('{}', signed, bad), TypeError, bad);
  for (const parsed of [{}, undefined, null, 1]) assert.throws(() => lntpay.webhooks.verify(parsed, signed, secret), /raw body/);
});

test("the constructor's secret is the default", () => {
  assert.ok(new LNTPay({ webhookSecret: secret }).webhooks.verify('{}', sign('{}', secret)));
});
