export type QueueLane = 'live' | 'retry' | 'backfill';

export interface Taken<Item> {
  readonly item: Item;
  readonly lane: QueueLane;
}

interface Waiting<Item> {
  item: Item;
  lane: QueueLane;
}

/** One in so many goes to the lanes behind, so that neither starves however many live runs there are (design 4.2). */
const shareOfOthers = 8;

/**
 * A queue of keyed items in three lanes. A key stands in the queue at most once and is never worked on twice at the same time:
 * what is added while its key is being worked on comes once more afterwards. Live items leave newest first, the others oldest first.
 * Bounded by the number of keys; the caller's keys are the known runs.
 */
export class WorkQueue<Item> {
  readonly #lanes: Readonly<Record<QueueLane, Map<string, Waiting<Item>>>> = { live: new Map(), retry: new Map(), backfill: new Map() };
  #liveOrder: string[] = [];
  readonly #working = new Set<string>();
  readonly #again = new Map<string, Waiting<Item>>();
  readonly #timers = new Map<string, { at: number; timer: NodeJS.Timeout; waiting: Waiting<Item> }>();
  readonly #takers: ((taken: { key: string; waiting: Waiting<Item> } | undefined) => void)[] = [];
  #turn = 0;
  #isClosed = false;

  /** Keys that wait for a worker, per lane; those that wait for a timer; those in work. */
  get depth(): Readonly<Record<QueueLane | 'delayed' | 'working', number>> {
    const { live, retry, backfill } = this.#lanes;
    return { live: live.size, retry: retry.size, backfill: backfill.size, delayed: this.#timers.size, working: this.#working.size };
  }

  add(key: string, item: Item, lane: QueueLane): void {
    if (this.#isClosed) return;
    this.#forgetTimer(key);
    const waiting = { item, lane };
    if (this.#working.has(key)) {
      this.#again.set(key, waiting);
      return;
    }
    for (const [name, queue] of Object.entries(this.#lanes)) {
      const there = queue.get(key);
      if (there === undefined) continue;
      there.item = item;
      if (name === lane || lane !== 'live') return;
      queue.delete(key);
    }
    this.#lanes[lane].set(key, waiting);
    if (lane === 'live') this.#stack(key);
    this.#serve();
  }

  /** Adds after `ms` milliseconds; of several the earliest counts. An `add` of the same key in the meantime replaces it. */
  addAfter(key: string, item: Item, lane: QueueLane, ms: number): void {
    if (this.#isClosed) return;
    const at = Date.now() + ms;
    const there = this.#timers.get(key);
    if (there !== undefined && there.at <= at) {
      there.waiting.item = item;
      return;
    }
    this.#forgetTimer(key);
    const waiting = { item, lane };
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.add(key, waiting.item, waiting.lane);
    }, ms);
    this.#timers.set(key, { at, timer, waiting });
  }

  /** Takes a key out, wherever it waits; what is in work goes on. */
  forget(key: string): void {
    this.#forgetTimer(key);
    this.#again.delete(key);
    for (const queue of Object.values(this.#lanes)) queue.delete(key);
  }

  /** Works on items until the queue is closed and what is in work has ended. `work` must not throw. */
  async run(workers: number, work: (taken: Taken<Item>) => Promise<void>): Promise<void> {
    await Promise.all(Array.from({ length: workers }, async () => await this.#worker(work)));
  }

  /** Takes nothing more in and gives nothing more out. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  async #worker(work: (taken: Taken<Item>) => Promise<void>): Promise<void> {
    for (;;) {
      const next = this.#isClosed ? undefined : (this.#next() ?? (await new Promise((resolve) => this.#takers.push(resolve))));
      if (next === undefined) return;
      this.#working.add(next.key);
      try {
        await work(next.waiting);
      } finally {
        this.#working.delete(next.key);
        const again = this.#again.get(next.key);
        this.#again.delete(next.key);
        if (again !== undefined) this.add(next.key, again.item, again.lane);
      }
    }
  }

  #serve(): void {
    const taker = this.#takers.shift();
    if (taker === undefined) return;
    const next = this.#next();
    // The key is marked before the worker wakes up, so that an `add` in between waits for it.
    if (next !== undefined) this.#working.add(next.key);
    taker(next);
  }

  #next(): { key: string; waiting: Waiting<Item> } | undefined {
    this.#turn = (this.#turn + 1) % shareOfOthers;
    const order: readonly QueueLane[] =
      this.#turn === 0 ? ['retry', 'backfill', 'live'] : this.#turn === 1 ? ['backfill', 'retry', 'live'] : ['live', 'retry', 'backfill'];
    for (const lane of order) {
      const key = lane === 'live' ? this.#newest() : this.#lanes[lane].keys().next().value;
      const waiting = key === undefined ? undefined : this.#lanes[lane].get(key);
      if (key === undefined || waiting === undefined) continue;
      this.#lanes[lane].delete(key);
      return { key, waiting };
    }
    return undefined;
  }

  /** A map has no last key, so the order of the live lane is kept beside it; keys that have left it are passed over. */
  #newest(): string | undefined {
    while (this.#liveOrder.length > 0) {
      const key = this.#liveOrder.pop();
      if (key !== undefined && this.#lanes.live.has(key)) return key;
    }
    return undefined;
  }

  #stack(key: string): void {
    this.#liveOrder.push(key);
    if (this.#liveOrder.length > 2 * this.#lanes.live.size + 64) {
      this.#liveOrder = [...this.#lanes.live.keys()];
    }
  }

  #forgetTimer(key: string): void {
    const there = this.#timers.get(key);
    if (there === undefined) return;
    clearTimeout(there.timer);
    this.#timers.delete(key);
  }
}
