import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { HeaderReader } from '../auth/auth.ts';
import type { Caller } from '../auth/caller.ts';
import { type CancellationSource, createCancellation } from '../customers/cancellation.ts';
import type { EndedRead, JoinableRead, ReadListener } from '../customers/customer.ts';
import type { Answer } from '../execution/answer.ts';
import { keyHeader } from '../idempotency/header.ts';
import type { Body, BodyReceiver } from './bodies.ts';
import type { Message } from './listener.ts';
import { paramsOfText, textOf } from './params.ts';
import { discardRest, sendText } from './raw.ts';
import type { ResponseBatch, Sendable } from './response-batch.ts';
import {
  admit,
  callerOf,
  checkHead,
  commonHeaders,
  execute,
  type HttpRules,
  identify,
  keep,
  mediaTypeOf,
  refuse,
} from './rules.ts';
import type { Leader, Sharer } from './shared-answers.ts';
import type { RequestState } from './state.ts';

interface PlainRequest {
  readonly state: RequestState;
  readonly rules: HttpRules;
  readonly responses: ResponseBatch;
}

/**
 * Whether a request is a plain POST of a known length to the endpoint, which {@link servePlain} can serve. Every other request
 * goes through Yoga: other methods, targets with a query, pages of other origins (CORS), explanations, encoded and chunked bodies,
 * and bodies that a framework has already read.
 */
export function isPlain(message: Message, endpoint: string): boolean {
  if (message.method !== 'POST' || (message.originalUrl ?? message.url) !== endpoint) return false;
  if (message.httpVersionMajor !== 1 || message.body != null || message.readableFlowing !== null) return false;
  const { headers } = message;
  return (
    headers['content-length'] !== undefined &&
    headers['transfer-encoding'] === undefined &&
    headers['content-encoding'] === undefined &&
    headers['expect'] === undefined &&
    headers['origin'] === undefined &&
    headers['x-gateway-explain'] === undefined
  );
}

/**
 * Serves a plain request without Request, Response and Headers, which with the processing of Yoga cost more than the rest of
 * the gateway. The steps are the same functions that serve a request of Yoga.
 */
export function servePlain(message: IncomingMessage, response: ServerResponse, request: PlainRequest): void {
  new PlainExchange(message, response, request).start();
}

/** A request and its response. An object with methods instead of closures, which would keep each other's scopes alive. */
class PlainExchange implements BodyReceiver, Sharer, ReadListener, Sendable {
  readonly isGet = false;
  readonly headers: HeaderReader;
  readonly cancellation: CancellationSource = createCancellation();
  /** `undefined` after the end of the response, as `#response` and `#body`. */
  #message: IncomingMessage | undefined;
  #response: ServerResponse | undefined;
  readonly state: RequestState;
  readonly #rules: HttpRules;
  readonly #responses: ResponseBatch;
  /** Set while the exchange is in the batch. */
  #answer: Answer | undefined;
  /** Bytes of the body that have not arrived. */
  #missingBytes: number;
  #body: Body | undefined;
  /** The body. */
  text = '';
  #hasRead = false;
  /** Set if equal operations can take the answer of this one. */
  #leader: Leader | undefined;
  /** Set if the operation has waited for an equal one, whose answer it could not take. */
  ended: EndedRead | undefined;

  constructor(message: IncomingMessage, response: ServerResponse, { state, rules, responses }: PlainRequest) {
    this.headers = new MessageHeaders(message.headers);
    this.#message = message;
    this.#response = response;
    this.state = state;
    this.#rules = rules;
    this.#responses = responses;
    this.#missingBytes = Number(message.headers['content-length']);
  }

  start(): void {
    this.#response?.on('close', () => this.#onClose());
    try {
      const head = { method: 'POST', headers: this.headers, searchParams: undefined };
      checkHead(head, this.state, this.#rules);
      const identified = identify(this.headers, this.state, this.#rules);
      if (identified === undefined) this.#readBody();
      else identified.then(() => this.#readBody()).catch((error: unknown) => this.#refuse(error));
    } catch (error) {
      this.#refuse(error);
    }
  }

  onBody(bytes: Uint8Array): void {
    try {
      const admitted = admit(this.state, this.#rules);
      if (admitted === undefined) this.#execute(bytes);
      else admitted.then(() => this.#execute(bytes)).catch((error: unknown) => this.#refuse(error));
    } catch (error) {
      this.#refuse(error);
    }
  }

  onBodyFailed(error: unknown): void {
    this.#refuse(error);
  }

  #readBody(): void {
    const { bodies, maxBodyBytes } = this.#rules;
    this.#body = bodies.open(this, maxBodyBytes);
    if (this.#response === undefined || this.#response.destroyed) this.#body.fail();
    else if (this.#missingBytes === 0) this.#body.end();
    else this.#receive();
  }

  /** Takes the chunks of the body where Node's parser delivers them. As a stream, they would cost 2 µs: a third of this class. */
  #receive(): void {
    const message: TakenMessage | undefined = this.#message;
    if (message === undefined) return;
    // Chunks arrived while the credentials were checked.
    if (message.readableLength > 0 || message.complete) {
      message.on('data', (chunk: Buffer) => this.onChunk(chunk));
      return;
    }
    message[taker] = this;
    message.push = pushToTaker;
  }

  onChunk(chunk: Buffer): void {
    this.#missingBytes -= chunk.byteLength;
    this.#body?.add(chunk);
    if (this.#missingBytes === 0) this.#body?.end();
  }

  #execute(bytes: Uint8Array): void {
    this.text = textOf(bytes);
    if (this.#canShare() && this.#rules.sharedAnswers.join(this)) return;
    this.#executeText();
  }

  #executeText(): void {
    const answer = execute(paramsOfText(this.text), this, this.state, this.#rules);
    if (answer instanceof Promise)
      answer.then((answered) => this.#end(answered)).catch((error: unknown) => this.#refuse(error));
    else this.#end(answer);
  }

  /** An operation with a span of its own, or with an `Idempotency-Key`, is executed for itself. */
  #canShare(): boolean {
    return this.#rules.traces === undefined && this.headers.get(keyHeader) == null;
  }

  get caller(): Caller {
    return callerOf(this.state);
  }

  get mediaType(): string {
    return mediaTypeOf(this.headers);
  }

  get reads(): ReadListener | undefined {
    return this.ended === undefined && this.#canShare() ? this : undefined;
  }

  onRead(joined: JoinableRead | undefined): void {
    if (joined !== undefined && !this.#hasRead) this.#leader = this.#rules.sharedAnswers.lead(this, joined);
    else this.#leader?.stop();
    this.#hasRead = true;
  }

  take(answer: Answer): void {
    this.#send(keep(answer, this.state, this.#rules));
  }

  executeAfter(ended: EndedRead): void {
    this.ended = ended;
    try {
      this.#executeText();
    } catch (error) {
      this.#refuse(error);
    }
  }

  #end(answer: Answer): void {
    this.#leader?.end(answer);
    this.#send(answer);
  }

  #refuse(error: unknown): void {
    this.#leader?.stop();
    this.#send(refuse(error, this.headers, this.state, this.#rules));
  }

  #send(answer: Answer): void {
    this.#answer = answer;
    this.#responses.add(this);
  }

  send(): void {
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer === undefined) return;
    try {
      this.#write(answer);
    } catch (error) {
      // Logs the error. The other responses of the batch must still be sent.
      refuse(error, this.headers, this.state, this.#rules);
      this.#response?.destroy();
    }
  }

  #write({ status, headers, body }: Answer): void {
    const message = this.#message;
    const response = this.#response;
    // A framework in front of the gateway can have sent a response of its own, such as a timeout.
    if (message === undefined || response === undefined || response.destroyed || response.headersSent) return;
    // The rest of a body that is not read.
    if (!message.complete) response.once('finish', () => discardRest(message));
    const pairs: string[] = [];
    for (const name in headers) pairs.push(name, headers[name] ?? '');
    pairs.push('x-request-id', this.state.requestId, ...commonPairs);
    sendText(response, status, pairs, body);
  }

  #onClose(): void {
    this.#body?.fail();
    if (!this.#response?.writableFinished) this.cancellation.cancel();
    this.state.end();
    // V8 may allocate this object in the old space. The garbage collector of the new space would then keep the whole request
    // and response: 15 % of the allocation of a read without the token survived a scavenge.
    this.#message = undefined;
    this.#response = undefined;
    this.#body = undefined;
  }
}

/** The exchange that takes the chunks of a message. */
const taker = Symbol('taker');

interface TakenMessage extends IncomingMessage {
  [taker]?: PlainExchange | undefined;
  _dumpAndCloseReadable?: () => void;
}

/**
 * The `push` of a taken message. One function for all: with a closure for each message, V8 kept each message until the next full
 * collection, with its exchange and its answer: 11 % of the allocation of a read survived a scavenge.
 *
 * @returns `true`: the limit of the body and the limit of all bodies bound what is held, so the socket need not pause.
 */
function pushToTaker(this: TakenMessage, chunk: Buffer | null): boolean {
  const exchange = this[taker];
  if (chunk !== null) {
    exchange?.onChunk(chunk);
    return true;
  }
  this[taker] = undefined;
  // The stream has ended, without events, as with Node's option `optimizeEmptyRequests`. Older versions of Node do not have it.
  if (this._dumpAndCloseReadable !== undefined) {
    this._dumpAndCloseReadable();
    return true;
  }
  Reflect.deleteProperty(this, 'push');
  return this.push(null);
}

const commonPairs = Object.entries(commonHeaders).flat();

class MessageHeaders implements HeaderReader {
  readonly #headers: IncomingHttpHeaders;

  constructor(headers: IncomingHttpHeaders) {
    this.#headers = headers;
  }

  get(name: string): string | undefined {
    // Only `set-cookie`, which no rule reads, has several values.
    return this.#headers[name] as string | undefined;
  }
}
