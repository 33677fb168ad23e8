// Finds a new path when the network changes: the SDK can restart ICE, but never does it by itself.
import {Connection} from '../sdk';
import type {Call} from './call';
import type {Person} from './person';

const PATIENCE_MS = 2_500;
const REPEAT_MS = 7_000;
const GIVE_UP_MS = 60_000;

interface Trouble {
  since: number;
  timer: number;
}

export class Recovery {
  readonly #troubles = new Map<number, Trouble>();
  readonly #network = (navigator as {connection?: EventTarget}).connection;

  constructor(readonly call: Call) {
    window.addEventListener('online', this.#networkChanged);
    this.#network?.addEventListener('change', this.#networkChanged);
  }

  connection(person: Person, state: Connection): void {
    if (state === Connection.CONNECTED || state === Connection.COMPLETED) {
      clearTimeout(this.#troubles.get(person.id)?.timer);
      this.#troubles.delete(person.id);
    } else if (state === Connection.DISCONNECTED) {
      this.#plan(person, PATIENCE_MS);
    } else if (state === Connection.FAILED) {
      this.#plan(person, 0);
    }
  }

  close(): void {
    window.removeEventListener('online', this.#networkChanged);
    this.#network?.removeEventListener('change', this.#networkChanged);
    for (const {timer} of this.#troubles.values()) clearTimeout(timer);
    this.#troubles.clear();
  }

  /** A connection that still looks well may use an address that is gone. */
  readonly #networkChanged = (): void => {
    for (const person of this.call.people.values()) {
      if (person.state === 'connected') void this.#restart(person);
      else if (person.state === 'reconnecting') this.#plan(person, 0);
    }
  };

  #plan(person: Person, delay: number): void {
    const trouble = this.#troubles.get(person.id) ?? {since: performance.now(), timer: 0};
    this.#troubles.set(person.id, trouble);
    clearTimeout(trouble.timer);
    trouble.timer = window.setTimeout(() => void this.#attempt(person, trouble), delay);
  }

  async #attempt(person: Person, trouble: Trouble): Promise<void> {
    if (person.gone || this.#troubles.get(person.id) !== trouble) return;
    if (performance.now() - trouble.since > GIVE_UP_MS) {
      this.#troubles.delete(person.id);
      this.call.drop(person, person.wasConnected ? 'connection-lost' : 'no-path');
      return;
    }
    this.#plan(person, REPEAT_MS);
    await this.#restart(person);
  }

  /** Only whoever made the offer may: two restarts at once would cancel each other. */
  async #restart(person: Person): Promise<void> {
    const {call} = this;
    await call.chat.online();
    if (call.phase !== 'running' || person.gone || !call.session.canInitiateIceRestart(person.id)) return;
    // It takes the renegotiation for a person who has not joined.
    clearTimeout(call.session.waitingOfferOrAnswerTimer ?? undefined);
    call.session.waitingOfferOrAnswerTimer = null;
    await call.session.iceRestart(person.id);
  }
}
