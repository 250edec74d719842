'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const sdk = require('../index.js');
const { serve, json } = require('./server.js');

const { LNTPay } = sdk;
const root = path.join(__dirname, '..');

/** Runs a script that finds the package by its name, as an application does. */
function run(t, file, script, env = {}) {
  const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'lntpay-sdk-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.mkdirSync(path.join(folder, 'node_modules'));
  fs.symlinkSync(root, path.join(folder, 'node_modules/lntpay'));
  fs.writeFileSync(path.join(folder, file), script);
  return execFileSync(process.execPath, [path.join(folder, file)], { env: { ...process.env, ...env }, encoding: 'utf8' }).trim();
}

const show = 'console.log(typeof new LNTPay({ apiKey: "a" }).charges.create, new LNTPayError("d") instanceof Error, LNTPay.name)';

test('require finds it', (t) => {
  const script = `const LNTPay = require("lntpay").default; const { LNTPayError } = require("lntpay"); ${show}`;
  assert.equal(run(t, 'a.cjs', script), 'function true LNTPay');
});

test('import finds it, and it is the same', (t) => {
  const script = `import LNTPay, { LNTPay as named, LNTPayError } from "lntpay"; ${show}; import { createRequire } from "node:module";
    console.log(LNTPay === named, LNTPay === createRequire(import.meta.url)("lntpay").default)`;
  assert.equal(run(t, 'a.mjs', script), 'function true LNTPay\ntrue true');
});

test('the environment is the fallback', (t) => {
  const script = `const LNTPay = require("lntpay").default;
    const signature = require("crypto").createHmac("sha256", "whsec_aaaa").update("{}").digest("hex");
    console.log(JSON.stringify(new LNTPay().webhooks.verify("{}", signature)));
    const seen = []; globalThis.fetch = async (url, init) => (seen.push(url, init.headers.authorization), new Response("{}"));
    new LNTPay().balance.get().then(() => new LNTPay({ apiKey: "other", baseUrl: "http://b" }).balance.get()).then(() => console.log(seen.join(" ")))`;
  const env = { LNTPAY_API_KEY: 'key\n', LNTPAY_BASE_URL: 'http://a:1/', LNTPAY_WEBHOOK_SECRET: 'whsec_aaaa' };
  assert.equal(run(t, 'a.cjs', script, env), '{}\nhttp://a:1/v1/balance Bearer key http://b/v1/balance Bearer other');
});

test('the base URL may end in /v1', async (t) => {
  const answers = Array.from({ length: 4 }, () => json(200, {}));
  const { baseUrl, requests } = await serve(t, ...answers);
  for (const end of ['', '/', '/v1', '/v1/']) await new LNTPay({ apiKey: 'k', baseUrl: baseUrl + end }).balance.get();
  assert.deepEqual(requests.map(({ url }) => url), Array(4).fill('/v1/balance'));
  for (const bad of ['127.0.0.1:8080', 'ftp://a', 'nowhere']) assert.throws(() => new LNTPay({ baseUrl: bad }), TypeError);
});

test('without a key or an address nothing is asked', async (t) => {
  const { baseUrl, requests } = await serve(t);
  await assert.rejects(new LNTPay({ apiKey: '', baseUrl }).balance.get(), /LNTPAY_API_KEY/);
  await assert.rejects(new LNTPay({ apiKey: 'k', baseUrl: '' }).balance.get(), /LNTPAY_BASE_URL/);
  assert.throws(() => new LNTPay({ apiKey: 'a b', baseUrl }), TypeError);
  assert.equal(requests.length, 0);
});

test('a client that is logged does not show its key or secret', () => {
  const { inspect } = require('node:util');
  const text = inspect(new LNTPay({ apiKey: 'a-key', webhookSecret: 'a-secret' }), { depth: 9, showHidden: true });
  assert.doesNotMatch(text, /a-key|a-secret/);
});

/** What index.d.ts declares of a class or interface. */
function declared(name) {
  const types = fs.readFileSync(path.join(root, 'index.d.ts'), 'utf8');
  const [, text] = new RegExp(`^export (?:class|interface) ${name}(?: extends \\w+)? \\{\n([^]*?)^\\}`, 'm').exec(types) ?? assert.fail(name);
  const methods = [...text.matchAll(/^ {2}(\w+)(?:<.+>)?\(/gm)].map(([, method]) => method).filter((method) => method !== 'constructor');
  const members = [...text.matchAll(/^ {2}readonly (\w+)\??: (\w+)/gm)].map(([, member, type]) => [member, type]);
  return { methods, members };
}

test('what index.d.ts declares is there, and nothing else', () => {
  const compare = (object, type) => {
    const { methods, members } = declared(type);
    const own = Object.getOwnPropertyNames(Object.getPrototypeOf(object)).filter((name) => name !== 'constructor');
    assert.deepEqual(methods.sort(), own.sort(), type);
    assert.deepEqual(members.map(([member]) => member).sort(), Object.keys(object).sort(), type);
    for (const [member, memberType] of members) compare(object[member], memberType);
    return methods.length;
  };
  compare(new LNTPay(), 'LNTPay');
  const { members } = declared('LNTPayError');
  const error = new sdk.LNTPayError('d', { cause: 1 });
  for (const [member] of members) assert.ok(Object.hasOwn(error, member), member);
  assert.deepEqual(Object.keys(sdk).sort(), ['LNTPay', 'LNTPayError', 'MemoryUses', 'default', 'l402']);
  assert.ok(declared('Charges').methods.includes('wait'), 'the types are read');
});

test('what the READMEs show can be run', () => {
  const lntpay = new LNTPay();
  for (const file of [path.join(root, 'README.md'), path.join(root, '../../README.md')]) {
    const text = fs.readFileSync(file, 'utf8');
    const methods = [...text.matchAll(/lntpay\.([a-z][\w.]*)\(/g)].map(([, name]) => name);
    assert.ok(methods.length > 2, file);
    for (const name of methods) assert.equal(typeof name.split('.').reduce((of, part) => of[part], lntpay), 'function', name);
    for (const [, code] of text.matchAll(/^```js\n([^]*?)^```$/gm)) new Function(`return async () => {${code}}`);
  }
});

test('package.json lists what is published', () => {
  const { files, exports: { '.': entry } } = require('../package.json');
  const named = [entry.import, entry.require].flatMap(Object.values).map((file) => file.slice(2));
  for (const file of [...named, ...files]) assert.ok(fs.existsSync(path.join(root, file)), file);
  for (const file of named) assert.ok(files.includes(file), file);
});
