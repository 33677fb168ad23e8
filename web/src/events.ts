// Node's EventEmitter, as far as the SDK's XMPP packages use it. vite.config.ts puts it in the place
// of the npm package `events`, which brings all of it; a test compares the two.
type Listener = ((...given: unknown[]) => void) & {listener?: Listener};

export class EventEmitter {
  readonly #listeners = new Map<string, readonly Listener[]>();

  on(name: string, listener: Listener): this {
    this.#listeners.set(name, [...this.#of(name), listener]);
    return this;
  }

  addListener(name: string, listener: Listener): this {
    return this.on(name, listener);
  }

  once(name: string, listener: Listener): this {
    let called = false;
    const first: Listener = (...given) => {
      if (called) return;
      called = true;
      this.removeListener(name, first);
      listener.apply(this, given);
    };
    first.listener = listener;
    return this.on(name, first);
  }

  /** Of equal ones the newest. */
  removeListener(name: string, listener: Listener): this {
    const all = this.#of(name);
    const index = all.findLastIndex((one) => one === listener || one.listener === listener);
    if (index >= 0) this.#listeners.set(name, all.toSpliced(index, 1));
    return this;
  }

  /** Whether anybody listened; an error must be listened to. */
  emit(name: string, ...given: unknown[]): boolean {
    const all = this.#of(name);
    if (name === 'error' && !all.length) throw given[0];
    for (const listener of all) listener.apply(this, given);
    return all.length > 0;
  }

  #of(name: string): readonly Listener[] {
    return this.#listeners.get(name) ?? [];
  }
}
