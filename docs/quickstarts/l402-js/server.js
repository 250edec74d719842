// Sells a forecast for 21 sats. It needs LNTPAY_API_KEY, LNTPAY_BASE_URL and LNTPAY_L402_KEY (openssl rand -hex 32).
'use strict';

const http = require('node:http');
const LNTPay = require('../../../sdk/js').default; // elsewhere: require('lntpay')

const lntpay = new LNTPay();
const gate = lntpay.gate({ priceSats: 21, description: () => 'a forecast' });

const server = http.createServer((req, res) => gate(req, res, () => {
  // Only what was paid for comes here.
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ forecast: 'sunny', charge: req.payment.chargeId }));
}));

server.listen(process.env.PORT ?? 3001, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/forecast costs 21 sats`);
});
