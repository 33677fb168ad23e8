// Finds a new path when the network changes: the SDK can restart ICE, but never does it by itself.
import {Connection, type Peer} from '../sdk';
import type {Call} from './call';
import type {Person} from './person';

const PATIENCE_MS = 2_500;
const REPEAT_MS = 7_000;
const GIVE_UP_MS = 60_000;
const SILENT_LOOKS = 3;
const LOOKS_BETWEEN = 7;
const MOST_LOOKS = 60;

interface Trouble {
  since: number;
  timer: number;
}

interface Silence {
  /** What had come in when it began. */
  bytes: number;
  looks: number;
}

export class Recovery {
  readonly #troubles = new Map<number, Trouble>();
  readonly #silences = new Map<number, Silence>();
  readonly #restarting = new Set<number>();
  readonly #network = (navigator as {connection?: EventTarget}).connection;

  constructor(readonly call: Call) {
    window.addEventListener('online', this.#networkChanged);
    this.#network?.addEventListener('change', this.#networkChanged);
  }

  connection(person: Person, state: Connection): void {
    if (state === Connection.CONNECTED || state === Connection.COMPLETED) {
      clearTimeout(this.#troubles.get(person.id)?.timer);
      this.#troubles.delete(person.id);
      refreshOnNewPath(this.call.peer(person.id));
    } else if (state === Connection.DISCONNECTED) {
      this.#plan(person, PATIENCE_MS);
    } else if (state === Connection.FAILED) {
      this.#plan(person, 0);
    }
  }

  /**
   * Called once per second. Behind some networks a new address shows in nothing but this: ICE finds a
   * way out and calls it connected, nothing comes back, and the chat hangs on the old address.
   */
  async look(): Promise<void> {
    for (const person of this.call.people.values()) {
      const peer = person.state === 'connected' ? this.call.peer(person.id) : undefined;
      const bytes = peer ? await receivedBytes(peer) : 0;
      const silence = this.#silences.get(person.id);
      if (!bytes || bytes !== silence?.bytes) {
        this.#silences.set(person.id, {bytes, looks: 0});
      } else if (++silence.looks < MOST_LOOKS && silence.looks % LOOKS_BETWEEN === SILENT_LOOKS) {
        void this.#restart(person);
      }
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

  /** Only whoever made the offer may: two restarts at once would cancel each other. What a dead chat
   * connection takes could arrive much later, when the old network is back. */
  async #restart(person: Person): Promise<void> {
    const {call} = this;
    if (this.#restarting.has(person.id)) return;
    this.#restarting.add(person.id);
    await call.chat.doubt();
    await call.chat.online();
    this.#restarting.delete(person.id);
    const silence = this.#silences.get(person.id);
    if (silence) silence.looks = Math.max(silence.looks, SILENT_LOOKS); // or `look` would disturb this one
    if (call.phase !== 'running' || person.gone || !call.session.canInitiateIceRestart(person.id)) return;
    // It takes the renegotiation for a person who has not joined.
    clearTimeout(call.session.waitingOfferOrAnswerTimer ?? undefined);
    call.session.waitingOfferOrAnswerTimer = null;
    await call.session.iceRestart(person.id);
  }
}

/** What the others miss while a path is dead they would ask for once in three seconds: show them all
 * of the picture as soon as there is another path. */
function refreshOnNewPath(peer: Peer | undefined): void {
  for (const sender of peer?.getSenders() ?? []) {
    const ice = sender.track?.kind === 'video' && sender.transport?.iceTransport;
    if (!ice) continue;
    ice.onselectedcandidatepairchange = () => {
      const parameters = sender.getParameters();
      const keyFrames = {encodingOptions: parameters.encodings.map(() => ({keyFrame: true}))};
      void sender.setParameters(parameters, keyFrames as RTCSetParameterOptions).catch(() => undefined);
    };
  }
}

async function receivedBytes(peer: Peer): Promise<number> {
  const report = await peer.getStats().catch(() => undefined);
  let bytes = 0;
  report?.forEach((entry: {type: string; bytesReceived?: number}) => {
    if (entry.type === 'inbound-rtp') bytes += entry.bytesReceived ?? 0;
  });
  return bytes;
}
