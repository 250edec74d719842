// Sells jokes and quotes for sats, told by the event stream who has paid: it needs no public address. Each line on
// standard input is an order. Node 18 or newer, no packages but LNTPay's own. docs/quickstart.md explains it.
'use strict';

const fs = require('node:fs');
const readline = require('node:readline');
const { setTimeout: timer } = require('node:timers/promises');
const LNTPay = require('../../../sdk/js').default; // elsewhere: require('lntpay')

const lntpay = new LNTPay(); // LNTPAY_API_KEY, LNTPAY_BASE_URL
const file = process.env.BOT_FILE || 'bot.jsonl';
const goods = {
  joke: { sats: 21, text: 'A channel walks into a bar. The bar has no route.' },
  quote: { sats: 5, text: 'Be liberal in what you accept, and verify the signature.' },
};

// The book has all that the bot must know after a restart: one line for where it began, each order, each delivery.
const orders = new Map();
const delivered = new Set();
let last; // The event that it goes on after; null when there was none at the beginning.

function learn({ last: position, order, item, event }) {
  if (position !== undefined) last = position;
  if (item) orders.set(order, item);
  if (event) {
    delivered.add(event);
    orders.delete(order);
    last = event;
  }
}

function write(entry) {
  fs.appendFileSync(file, `${JSON.stringify(entry)}\n`);
  learn(entry);
}

async function sell(name) {
  const item = goods[name];
  if (!item) return console.log(`no ${name} here: ask for ${Object.keys(goods).join(' or ')}`);
  const charge = await lntpay.charges.create({ amount_sats: item.sats, description: `one ${name}` });
  // Written before the customer can pay.
  write({ order: charge.id, item: name });
  return console.log(`${name}: pay ${item.sats} sats to ${charge.bolt11}`);
}

/** Delivers what an event says is paid. The line in the book is the delivery: it is there once, whatever happens. */
function handle(event) {
  const order = event.data.object.id;
  if (event.type !== 'charge.paid' || delivered.has(event.id) || !orders.has(order)) return;
  const { text } = goods[orders.get(order)];
  write({ order, event: event.id, text });
  console.log(`delivered for ${order}: ${text}`);
}

/** A new workspace has no event to go on after: its first is asked for until it is there, and then followed. */
async function* events() {
  while (!last) {
    const { data } = await lntpay.events.list({ limit: 100 });
    for (const event of data.reverse()) {
      yield event;
      last ??= event.id;
    }
    if (!last) await timer(500);
  }
  yield* lntpay.events.stream({ lastEventId: last });
}

async function main() {
  if (fs.existsSync(file)) fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).forEach((line) => learn(JSON.parse(line)));
  if (last === undefined) write({ last: (await lntpay.events.list({ limit: 1 })).data[0]?.id ?? null });
  readline.createInterface({ input: process.stdin })
    .on('line', (line) => sell(line.trim()).catch((error) => console.log(`sorry: ${error.message}`)));
  console.log(`open: ask for ${Object.keys(goods).join(' or ')}`);
  for await (const event of events()) handle(event);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
