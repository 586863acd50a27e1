interface Body {
  readonly resourceVersion: string;
  readonly line: Buffer;
}

/**
 * The watch lines of runs that will be looked at soon, by UID, at most `maxBytes` of them; the one used longest ago leaves first.
 * Bytes instead of objects: their size is known, they lie outside the heap, and parsing can wait until somebody asks.
 */
export class Bodies {
  readonly #bodies = new Map<string, Body>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps a copy. With `room` others stay and it is left out when it does not fit: a backlog is worked off from its start. */
  put(uid: string, body: Body, make: 'room' | 'way'): void {
    this.delete(uid);
    const { length } = body.line;
    if (length > (make === 'room' ? this.#maxBytes - this.#bytes : this.#maxBytes)) return;
    // Not from Node's pool and not a part of the socket's chunk, which it would keep alive.
    const line = Buffer.allocUnsafeSlow(length);
    body.line.copy(line);
    this.#bodies.set(uid, { resourceVersion: body.resourceVersion, line });
    this.#bytes += length;
    for (const oldest of this.#bodies.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      this.delete(oldest);
    }
  }

  /** The line of exactly this version. */
  get(uid: string, resourceVersion: string): Buffer | undefined {
    const body = this.#bodies.get(uid);
    if (body?.resourceVersion !== resourceVersion) return undefined;
    this.#bodies.delete(uid);
    this.#bodies.set(uid, body);
    return body.line;
  }

  delete(uid: string): void {
    const body = this.#bodies.get(uid);
    if (body === undefined) return;
    this.#bodies.delete(uid);
    this.#bytes -= body.line.length;
  }
}
