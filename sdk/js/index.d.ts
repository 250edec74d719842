// The types of index.js. Names of fields are those of the API (api/openapi.yaml). Amounts are integer millisatoshi, which
// a number holds exactly up to 90,000 bitcoin; times are RFC 3339 in UTC.

export type Environment = 'sandbox' | 'production';
export type Metadata = Record<string, string>;

export interface ClientOptions {
  /** `LNTPAY_API_KEY` by default. Not needed to verify webhooks. */
  apiKey?: string;
  /** With or without `/v1` at its end. `LNTPAY_BASE_URL` by default. Not needed to verify webhooks. */
  baseUrl?: string;
  /** For `webhooks.verify`. `LNTPAY_WEBHOOK_SECRET` by default; several with a space between. */
  webhookSecret?: string;
  /** For each attempt; 30 s by default. */
  timeoutMs?: number;
  /** After the first attempt; 5 by default. */
  maxRetries?: number;
  /** Before the first repeat; it doubles, up to 30 s, less up to a half at random. 500 by default. */
  backoffMs?: number;
}

export interface RequestOptions {
  /** Ends the call with the signal's reason. The outcome of a write is then unknown. */
  signal?: AbortSignal;
  timeoutMs?: number;
  maxRetries?: number;
}

export interface WriteOptions extends RequestOptions {
  /**
   * 1 to 255 printable ASCII characters, new for each new request; a random UUID by default. Repeats carry the same, and
   * the same key with the same parameters has one effect, also from another process.
   */
  idempotencyKey?: string;
}

export interface WaitOptions extends RequestOptions {
  /** 5 minutes by default. After it the object comes as it is, so look at its status. */
  waitMs?: number;
}

export interface StreamOptions {
  /** Go on after this event. Without it the stream begins at the present, which is when the first event is asked for. */
  lastEventId?: string;
  /** The only end of a stream that waits, other than an error that no repeat helps. */
  signal?: AbortSignal;
  /** A connection on which nothing has come for so long is broken; 45 s by default, three heartbeats. */
  silenceMs?: number;
}

export interface Page<T> {
  object: 'list';
  data: T[];
  has_more: boolean;
  /** For `cursor`, when there is more. */
  next_cursor: string | null;
}

/** `await` gives the first page; `for await` goes through all items, and asks for pages as it needs them. */
export interface List<T> extends Pick<Promise<Page<T>>, 'then' | 'catch' | 'finally'>, AsyncIterable<T> {}

export interface ListParams {
  /** Items on a page, 1 to 100; 20 by default. */
  limit?: number;
  cursor?: string;
}

export type ChargeStatus = 'pending' | 'paid' | 'expired' | 'canceled';

export interface Charge {
  id: string;
  object: 'charge';
  environment: Environment;
  status: ChargeStatus;
  amount_msat: number;
  /** An overpayment is credited in full. */
  amount_paid_msat: number;
  description: string | null;
  bolt11: string;
  payment_hash: string;
  metadata: Metadata;
  external_id: string | null;
  created_at: string;
  expires_at: string;
  paid_at: string | null;
  /** `insufficient_inbound`: the node could not have received the amount at creation. */
  warnings: string[];
}

/** Exactly one of the two, an integer. */
export type Amount = { amount_msat: number; amount_sats?: never } | { amount_sats: number; amount_msat?: never };

export type ChargeParams = Amount & {
  /** At most 639 bytes, carried in the invoice. */
  description?: string | null;
  /** Seconds, 60 to 604800; 3600 by default. */
  expires_in?: number | null;
  /** At most 50 pairs of 40 and 500 characters. */
  metadata?: Metadata | null;
  external_id?: string | null;
};

export interface ChargeListParams extends ListParams {
  status?: ChargeStatus;
  external_id?: string;
  created_after?: string | Date;
  created_before?: string | Date;
}

export interface UsageParams {
  interval?: 'hour' | 'day';
  from?: string | Date;
  to?: string | Date;
}

export interface UsageBucket {
  start: string;
  created: number;
  paid: number;
  expired: number;
  canceled: number;
  amount_msat: number;
  amount_paid_msat: number;
}

export interface Charges {
  create(params: ChargeParams, options?: WriteOptions): Promise<Charge>;
  get(id: string, options?: RequestOptions): Promise<Charge>;
  list(params?: ChargeListParams, options?: RequestOptions): List<Charge>;
  /** Again is fine; `charge_not_cancelable` when it is paid, being paid or expired. */
  cancel(id: string, options?: WriteOptions): Promise<Charge>;
  /** Counts charges by the time of their creation, the oldest first. */
  usage(params?: UsageParams, options?: RequestOptions): Promise<Page<UsageBucket>>;
  /** Waits until the charge is no longer pending, and returns it. */
  wait(id: string, options?: WaitOptions): Promise<Charge>;
}

export type L402ChallengeParams = ChargeParams & {
  /** What the token opens, in your own words. It is also the invoice's description if there is no other. */
  resource: string;
  /** Further conditions, each `condition=value`: `lntpay_valid_until` is enforced, others are handed back by verify. */
  caveats?: string[] | null;
};

export interface L402Challenge {
  /** That of the charge. */
  id: string;
  object: 'l402_challenge';
  environment: Environment;
  resource: string;
  caveats: string[];
  /** The token: as good as money once it is paid. */
  macaroon: string;
  /** The header of that name for your answer 402. */
  www_authenticate: string;
  charge: Charge;
}

export interface L402Verification {
  object: 'l402_verification';
  environment: Environment;
  valid: boolean;
  reason: 'malformed' | 'bad_signature' | 'wrong_preimage' | 'widened' | 'wrong_resource' | 'expired' | 'revoked' | null;
  /** Null where the token is not ours. */
  charge_id: string | null;
  payment_hash: string | null;
  caveats: string[];
}

/** Tokens that the API mints and judges. A gate that judges by itself is `gate`. */
export interface L402 {
  /** Makes a charge, and a token that is worth something once it is paid. */
  createChallenge(params: L402ChallengeParams, options?: WriteOptions): Promise<L402Challenge>;
  /** Judges the value of an Authorization header. A token that is not valid is no error. */
  verify(authorization: string, resource: string, options?: WriteOptions): Promise<L402Verification>;
  /** Makes a token worthless, by the id of its charge. */
  revoke(id: string, options?: RequestOptions): Promise<void>;
}

export type WithdrawalStatus = 'pending' | 'in_flight' | 'succeeded' | 'failed';

export interface WithdrawalFailure {
  code: 'no_route' | 'insufficient_fee_limit' | 'rejected_by_recipient' | 'timeout' | 'not_dispatched' | 'paid_elsewhere' | 'node_error';
  message: string;
}

export interface InFlight {
  since: string;
  sends: number;
  htlc_attempts: number;
  htlc_expiry_height: number | null;
  checked_at: string | null;
}

export interface Withdrawal {
  id: string;
  object: 'withdrawal';
  environment: Environment;
  status: WithdrawalStatus;
  /** An operator is looking at it; until then nothing is sent, debited or returned. */
  under_review: boolean;
  amount_msat: number;
  max_fee_msat: number;
  fee_msat: number;
  payment_hash: string;
  destination: string;
  /** The proof of payment, once succeeded; null in events. */
  preimage: string | null;
  bolt11: string;
  description: string | null;
  metadata: Metadata;
  external_id: string | null;
  failure: WithdrawalFailure | null;
  in_flight: InFlight | null;
  created_at: string;
  completed_at: string | null;
}

export interface QuoteParams {
  bolt11: string;
  /** For an invoice without an amount, and then one of the two is required. */
  amount_msat?: number | null;
  amount_sats?: number | null;
}

export interface WithdrawalParams extends QuoteParams {
  /** The most that routing may cost, in one of the two; 0 means zero-fee routes only. */
  max_fee_msat?: number | null;
  max_fee_sats?: number | null;
  /** For you; the recipient does not see it. */
  description?: string | null;
  metadata?: Metadata | null;
  external_id?: string | null;
}

export interface WithdrawalListParams extends ListParams {
  status?: WithdrawalStatus;
  external_id?: string;
  created_after?: string | Date;
  created_before?: string | Date;
}

export interface Quote {
  object: 'quote';
  environment: Environment;
  amount_msat: number;
  /** Null when the node knows no route. */
  estimated_fee_msat: number | null;
  max_fee_msat: number;
  total_locked_msat: number;
  available_msat: number;
  max_withdrawable_msat: number;
  sufficient: boolean;
}

export interface Withdrawals {
  /**
   * Pays an invoice. When it fails by `network_error`, `timeout` or `service_unavailable`, the outcome is unknown: repeat
   * with the error's `idempotencyKey`. An `idempotencyKey` of yours, stored before, outlives a crash too.
   */
  create(params: WithdrawalParams, options?: WriteOptions): Promise<Withdrawal>;
  get(id: string, options?: RequestOptions): Promise<Withdrawal>;
  list(params?: WithdrawalListParams, options?: RequestOptions): List<Withdrawal>;
  quote(params: QuoteParams, options?: WriteOptions): Promise<Quote>;
  /** Waits until the withdrawal has succeeded or failed, and returns it. A recipient can hold a payment for days. */
  wait(id: string, options?: WaitOptions): Promise<Withdrawal>;
}

export interface BalanceObject {
  object: 'balance';
  environment: Environment;
  available_msat: number;
  locked_msat: number;
  /** The sum of the open charges. */
  pending_msat: number;
  as_of: string;
}

export interface Balance {
  get(options?: RequestOptions): Promise<BalanceObject>;
}

export interface Transfer {
  id: string;
  object: 'transfer';
  environment: Environment;
  kind: string;
  /** The id of what it is for. */
  ref: string;
  debit_account: string;
  credit_account: string;
  amount_msat: number;
  available_after_msat: number;
  locked_after_msat: number;
  /** Gap-free in a workspace. */
  sequence: number;
  created_at: string;
}

export interface TransferListParams extends ListParams {
  ref?: string;
  kind?: string;
}

export interface Transfers {
  list(params?: TransferListParams, options?: RequestOptions): List<Transfer>;
}

export type Scope =
  | 'charges:read' | 'charges:write' | 'withdrawals:read' | 'withdrawals:write' | 'ledger:read'
  | 'webhooks:read' | 'webhooks:write' | 'keys:read' | 'keys:write';

export interface Key {
  id: string;
  object: 'key';
  environment: Environment;
  name: string;
  scopes: Scope[];
  /** Only in the first answer to its creation. Missing there too when that answer was lost: delete the key, make another. */
  secret?: string;
  last4: string;
  expires_at: string | null;
  created_at: string;
}

export interface KeyParams {
  name: string;
  scopes: Scope[];
  expires_at?: string | Date | null;
}

export interface Keys {
  create(params: KeyParams, options?: WriteOptions): Promise<Key>;
  list(params?: ListParams, options?: RequestOptions): List<Key>;
  delete(id: string, options?: RequestOptions): Promise<void>;
}

export type EventType =
  | 'charge.paid' | 'charge.expired' | 'charge.canceled' | 'withdrawal.succeeded' | 'withdrawal.failed'
  | 'payouts.frozen' | 'payouts.thawed' | 'webhook.test' | 'webhook.endpoint_disabled';

/** A freeze of withdrawals, or its end. Withdrawals go on when no freeze of any scope is left. */
export interface Payouts {
  object: 'payouts';
  workspace_id: string;
  scope: 'workspace' | 'node' | 'all';
  frozen: boolean;
  reason: 'operator' | 'reconciliation';
}

export interface WebhookEndpoint {
  id: string;
  object: 'webhook_endpoint';
  environment: Environment;
  url: string;
  events: (EventType | '*')[];
  status: 'enabled' | 'disabled';
  description: string | null;
  /** Only in the first answer to its creation or a rotation. Missing there too when that answer was lost: rotate it. */
  secret?: string;
  created_at: string;
}

export interface WebhookEndpointParams {
  url: string;
  events: (EventType | '*')[];
  description?: string | null;
}

export interface WebhookEndpointChange extends Partial<WebhookEndpointParams> {
  status?: 'enabled' | 'disabled';
}

export interface RotateParams {
  /** How long the old secret goes on; 86400 by default. */
  overlap_seconds?: number | null;
}

export interface Endpoints {
  create(params: WebhookEndpointParams, options?: WriteOptions): Promise<WebhookEndpoint>;
  get(id: string, options?: RequestOptions): Promise<WebhookEndpoint>;
  list(params?: ListParams, options?: RequestOptions): List<WebhookEndpoint>;
  /** What is absent stays as it is. */
  update(id: string, params: WebhookEndpointChange, options?: RequestOptions): Promise<WebhookEndpoint>;
  delete(id: string, options?: RequestOptions): Promise<void>;
  rotateSecret(id: string, params?: RotateParams, options?: WriteOptions): Promise<WebhookEndpoint>;
  /** Delivers a `webhook.test` to this endpoint. */
  test(id: string, options?: WriteOptions): Promise<Delivery>;
}

export interface DeliveryAttempt {
  at: string;
  status_code: number | null;
  duration_ms: number;
  error: string | null;
  response: string | null;
}

export type DeliveryStatus = 'pending' | 'succeeded' | 'failed';

export interface Delivery {
  id: string;
  object: 'delivery';
  environment: Environment;
  event_id: string;
  endpoint_id: string;
  status: DeliveryStatus;
  attempts: DeliveryAttempt[];
  next_attempt_at: string | null;
  created_at: string;
}

export interface DeliveryListParams extends ListParams {
  event_id?: string;
  endpoint_id?: string;
  status?: DeliveryStatus;
}

export interface Deliveries {
  list(params?: DeliveryListParams, options?: RequestOptions): List<Delivery>;
  get(id: string, options?: RequestOptions): Promise<Delivery>;
  redeliver(id: string, options?: WriteOptions): Promise<Delivery>;
}

interface EventOf<Type extends EventType, T> {
  id: string;
  object: 'event';
  type: Type;
  environment: Environment;
  /** Gap-free in a workspace, in the order in which things happened. */
  sequence: number;
  created_at: string;
  /** The object as it was then. */
  data: { object: T };
}

/** There may be types that are not listed here: ignore what you do not know. */
export type Event =
  | EventOf<'charge.paid' | 'charge.expired' | 'charge.canceled', Charge>
  | EventOf<'withdrawal.succeeded' | 'withdrawal.failed', Withdrawal>
  | EventOf<'payouts.frozen' | 'payouts.thawed', Payouts>
  | EventOf<'webhook.test' | 'webhook.endpoint_disabled', WebhookEndpoint>;

export interface Webhooks {
  readonly endpoints: Endpoints;
  readonly deliveries: Deliveries;
  /**
   * Returns the event of a genuine delivery and throws an LNTPayError with the code `invalid_signature` otherwise.
   * @param rawBody the bytes as they came, before anything parsed them.
   * @param header all headers, of Node or fetch: checks the signature of Standard Webhooks and that it is at most five
   * minutes old. Or the value of `x-lntpay-signature`, which has no time: then never forget the id of an event.
   * @param secret the endpoint's; several, in an array or with spaces between, while it is rotated. By default the
   * constructor's.
   */
  verify(rawBody: string | Uint8Array, header: string | null | undefined | WebhookHeaders, secret?: string | string[]): Event;
}

export type WebhookHeaders = Record<string, string | string[] | undefined> | { get(name: string): string | null };

export interface EventListParams extends ListParams {
  type?: EventType;
}

export interface Events {
  list(params?: EventListParams, options?: RequestOptions): List<Event>;
  get(id: string, options?: RequestOptions): Promise<Event>;
  /**
   * Yields events as they happen, each once and in order, and reconnects for as long as it takes. Store the id of what
   * you have handled, to go on after it in the next process.
   */
  stream(options?: StreamOptions): AsyncGenerator<Event, void, void>;
}

/** Why a token is refused, or that none is there. After the last seven a new one can be bought. */
export type L402Reason =
  | 'no_credential' | 'no_challenge' | 'malformed' | 'bad_signature' | 'wrong_preimage'
  | 'widened' | 'wrong_service' | 'wrong_capability' | 'wrong_resource' | 'expired' | 'underpaid' | 'used';

export interface L402Error extends Error {
  readonly reason: L402Reason;
  /** Whether the token was minted by us and paid. */
  readonly genuine: boolean;
}

/** A condition that a token is bound to. What is not `condition=value` has an empty condition. */
export interface Caveat {
  condition: string;
  value: string;
}

/** A bearer token that only its minter can make, and that anybody can narrow. Keep its text out of logs. */
export interface Macaroon {
  readonly chargeId: string;
  /** 64 hex digits. */
  readonly paymentHash: string;
  /** 64 hex digits; the same however the token is narrowed. */
  readonly tokenId: string;
  readonly caveats: Caveat[];
  /** A copy with further caveats, each `condition=value`. It needs no key. */
  attenuate(...caveats: string[]): Macaroon;
  /** In base64, as headers carry it. */
  toString(): string;
}

/** A token with the proof that it was paid. Keep its text out of logs. */
export interface Credential {
  readonly macaroon: Macaroon;
  /** Whether the preimage is that of the macaroon's payment hash. */
  readonly paid: boolean;
  /** What follows `Authorization: `. */
  toString(): string;
}

export interface L402Request {
  /** Whose caveats are read. */
  service: string;
  /** Whether the token must name the service in its `services` caveat; true by default. */
  needService?: boolean;
  /** Must be that of the token. */
  resource: string;
  /** Must be among the token's, if it names any. */
  capability?: string;
  /** The price now: the token must have cost as much. */
  amountMsat?: number | bigint;
  /** The present by default. */
  now?: Date;
}

export interface CaveatParams {
  service: string;
  resource?: string;
  validUntil?: Date;
  amountMsat?: number | bigint;
  capabilities?: string[];
}

/** Headers of Node, its `headersDistinct`, or of fetch. */
export type L402Headers = Record<string, string | string[] | undefined> | { get(name: string): string | null };

/** What the gate is made of, for other frameworks and for clients. A key is 64 hex digits. */
export const l402: {
  /** Makes the token of a charge, worth nothing until that is paid. The same charge and caveats give the same token. */
  mint(key: string, params: { chargeId: string; paymentHash: string; caveats?: string[] }): Macaroon;
  /** Throws an L402Error unless the credential is minted by this key, paid, and good for the request. */
  verify(key: string, credential: Credential, request: L402Request): void;
  /** The caveats that a gate gives its tokens, in its order. */
  caveats(params: CaveatParams): string[];
  /** The values of the two `WWW-Authenticate` headers of an answer 402. */
  challenge(macaroon: Macaroon, bolt11: string): [string, string];
  /** Reads the value of an `Authorization` header. Throws an L402Error: `no_credential` or `malformed`. */
  parseAuthorization(value: string): Credential[];
  /** The same with all headers of a request, in which Aperture's gRPC clients have a macaroon of their own. */
  fromHeaders(headers: L402Headers): Credential[];
  /** Reads `WWW-Authenticate` of an answer, or finds it among its headers. Throws an L402Error: `no_challenge`. */
  parseChallenge(header: string | string[] | L402Headers): { macaroon: Macaroon; invoice: string };
  /** Reads base64. Throws an L402Error: `malformed`. */
  parseMacaroon(text: string): Macaroon;
  /** `String(new Credential(macaroon, preimage))` is what a client sends once it has paid. The preimage is 64 hex digits. */
  readonly Credential: new (macaroon: Macaroon, preimage: string) => Credential;
  readonly L402Error: new (reason: L402Reason, message?: string) => L402Error;
};

/** What opened the gate. */
export interface Payment {
  chargeId: string;
  paymentHash: string;
  /** What the token has cost, however narrowed. */
  amountMsat: number;
  service: string;
  resource: string;
  validUntil?: Date;
  /** All of the token's but a preimage. */
  caveats: Caveat[];
}

/** Remembers which tokens were used. */
export interface Uses {
  /**
   * Notes the use of a token, which may be forgotten after `until`. Of many calls with an id, of all processes, exactly one is told true.
   * When it throws, the gate answers 503.
   */
  take(tokenId: string, until: Date): boolean | Promise<boolean>;
  /** Forgets a use whose request came to nothing. */
  giveBack(tokenId: string): void | Promise<void>;
}

/** Uses of one process, which a restart forgets. When `limit` (1,000,000) are remembered, new ones are refused. */
export class MemoryUses implements Uses {
  constructor(limit?: number);
  take(tokenId: string, until: Date): boolean;
  giveBack(tokenId: string): void;
}

/** A request of Node, Express, or what has the same fields. */
export interface GateRequest {
  method?: string;
  url?: string;
  originalUrl?: string;
  headers: Record<string, string | string[] | undefined>;
  /** Set by the gate, unless the request was free. */
  payment?: Payment;
}

export interface GateResponse {
  statusCode: number;
  readonly headersSent: boolean;
  setHeader(name: string, value: number | string | readonly string[]): unknown;
  end(body: string): unknown;
  once(event: 'finish' | 'close', listener: () => void): unknown;
}

/** The price: exactly one of the two. */
export type GatePrice<Request> =
  | {
    /** Millisatoshi, at most 2^53 - 1. 0 is free: the handler runs without a token, which is right for OPTIONS. */
    price: number | bigint | ((req: Request) => number | bigint | Promise<number | bigint>);
    priceSats?: never;
  }
  | { priceSats: number; price?: never };

export type GateOptions<Request = GateRequest> = GatePrice<Request> & {
  /** 64 hex digits, such as `openssl rand -hex 32` prints. Mints and verifies; `LNTPAY_L402_KEY` by default. */
  key?: string;
  /** Still accepted; they mint nothing. */
  oldKeys?: string[];
  /** Whose tokens these are; `lntpay` by default. Gates with the same key and service accept each other's, for the same resource. */
  service?: string;
  /** What a token opens; `<METHOD> <path>` by default. At most 1024 bytes. */
  resource?: (req: Request) => string | Promise<string>;
  /** What the invoice says, cut to 639 bytes; the resource by default. */
  description?: (req: Request) => string | Promise<string>;
  /** Goes into the charge, with `l402_service` and `l402_resource`: at most 48 pairs. */
  metadata?: (req: Request) => Metadata | Promise<Metadata>;
  /** Those of new tokens. */
  capabilities?: string[];
  /** The one that the request needs. */
  capability?: (req: Request) => string | undefined | Promise<string | undefined>;
  /** Of a token, in seconds, at least 60, from when it is minted, which is when its invoice is made; 3600 by default. */
  lifetime?: number;
  /** How long an invoice can be paid, in seconds, from 60 and within the lifetime; the lesser of half of that and 600 by default. */
  invoiceExpiry?: number;
  /** A token opens one request. It is used up by an answer that has begun with anything below 500, and by a client that leaves. */
  once?: boolean;
  /** For `once` in several processes; `new MemoryUses()` by default. */
  uses?: Uses;
  /** How many charges may be in the making, 32 by default. Past it the answer is 503. */
  maxMinting?: number;
  /** Told why there was a 503, whose answer does not say it; a process warning by default. */
  onError?: (error: Error) => void;
};

/** Middleware of Express and the like; without them, `next` runs the handler. */
export type Gate<Request = GateRequest> = (req: Request, res: GateResponse, next: (error?: unknown) => unknown) => Promise<void>;

export interface SandboxPayParams {
  /** The charge's own by default, in one of the two; more overpays it. */
  amount_msat?: number | null;
  amount_sats?: number | null;
}

export interface SandboxPayment {
  id: string;
  object: 'sandbox_payment';
  environment: Environment;
  charge_id: string;
  amount_msat: number;
}

/** `settle` takes the payment, `fail` refuses it, `hold` keeps it until it is released or canceled. */
export type SandboxBehaviour = 'settle' | 'fail' | 'hold';

export type SandboxInvoiceParams = Amount & { behaviour: SandboxBehaviour };

export interface SandboxInvoice {
  id: string;
  object: 'sandbox_invoice';
  environment: Environment;
  amount_msat: number;
  behaviour: SandboxBehaviour;
  bolt11: string;
  payment_hash: string;
  created_at: string;
}

/** The sandbox's second node. With sandbox keys, and where the operator has set it up (`no_payer_node`). */
export interface Sandbox {
  /** The charge is paid soon after: wait for it. `charge_not_payable` when it is not pending. */
  payCharge(chargeId: string, params?: SandboxPayParams, options?: WriteOptions): Promise<SandboxPayment>;
  /** An invoice to withdraw to. */
  createInvoice(params: SandboxInvoiceParams, options?: WriteOptions): Promise<SandboxInvoice>;
  /** Takes a held payment. Again is fine; `invoice_not_held` where there is none. */
  releaseInvoice(id: string, options?: WriteOptions): Promise<SandboxInvoice>;
  /** Sends a held payment back. Again is fine; `invoice_not_held` where there is none. */
  cancelInvoice(id: string, options?: WriteOptions): Promise<SandboxInvoice>;
}

export class LNTPay {
  constructor(options?: ClientOptions);
  readonly charges: Charges;
  readonly l402: L402;
  readonly withdrawals: Withdrawals;
  readonly balance: Balance;
  readonly transfers: Transfers;
  readonly keys: Keys;
  readonly webhooks: Webhooks;
  readonly events: Events;
  readonly sandbox: Sandbox;
  /** Makes middleware that lets through what was paid for by L402, and sells the rest an invoice. */
  gate<Request extends GateRequest = GateRequest>(options: GateOptions<Request>): Gate<Request>;
}

export default LNTPay;

export class LNTPayError extends Error {
  /**
   * Switch on this. The API's codes, and `network_error`, `timeout`, `unexpected_response` (not LNTPay has answered, but
   * something in between) and `invalid_signature`.
   */
  readonly code: string;
  /** Of the answer, if one came. */
  readonly status?: number;
  /** For people; the message without the fields. */
  readonly detail: string;
  /** Names the request in the server's log. */
  readonly requestId?: string;
  readonly errors: { field: string; message: string }[];
  readonly retryAfterMs?: number;
  /** Of a write: repeated with it, what has had an effect has no other. */
  readonly idempotencyKey?: string;
  readonly cause?: unknown;
}
