import { type Bodies, tooLong } from './bodies.ts';
import { type Message, parsedBody } from './listener.ts';
import type { RequestOrigin } from './state.ts';
import { readTarget, type Target } from './target.ts';

/** Finds the address of a client from that of its socket and from `X-Forwarded-For`. */
export type FindAddress = (
  socketAddress: string | undefined,
  forwardedFor: string | null | undefined,
) => string | undefined;

/** A request of `node:http`. */
export class MessageOrigin implements RequestOrigin {
  readonly target: Target;
  readonly #message: Message;
  readonly #bodies: Bodies;
  readonly #findAddress: FindAddress;
  /** Read at once: a closed socket has none. */
  readonly #socketAddress: string | undefined;

  constructor(message: Message, bodies: Bodies, findAddress: FindAddress) {
    this.target = readTarget(message.originalUrl ?? message.url ?? '/');
    this.#message = message;
    this.#bodies = bodies;
    this.#findAddress = findAddress;
    this.#socketAddress = message.socket.remoteAddress;
  }

  findAddress(): string | undefined {
    return this.#findAddress(this.#socketAddress, this.#message.headers['x-forwarded-for'] as string | undefined);
  }

  isEncrypted(): boolean {
    return 'encrypted' in this.#message.socket;
  }

  async readBody(maxBytes: number): Promise<Uint8Array> {
    const parsed = parsedBody(this.#message);
    if (parsed === undefined) return this.#bodies.read(this.#message, maxBytes);
    if (parsed.byteLength > maxBytes) throw tooLong(maxBytes);
    return parsed;
  }
}
