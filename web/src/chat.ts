// The chat connection, over which calls are signalled: keeps it alive and says how it is.
import {Emitter} from './emitter';
import {sdk} from './sdk';

export type LinkState = 'online' | 'reconnecting' | 'offline';

const CHECK_MS = 15_000;
const PING_MS = 4_000;
const DOUBT_MS = 2_000;
/** For the first attempt to connect; each further one gets as much more, up to `MOST_MS`. */
const ATTEMPT_MS = 5_000;
const MOST_MS = 15_000;

export class ChatLink extends Emitter<{state: LinkState; refused: void}> {
  state: LinkState = 'reconnecting';
  #timer = 0;
  #checking: Promise<void> | undefined;
  /** Attempts to connect, since it was up and ever. */
  #attempts = 0;
  #connections = 0;
  #deadline = 0;

  async connect(userId: number, token: string): Promise<void> {
    const {chat} = sdk;
    chat.onChatStatusListener = (status) => this.#changed(status);
    chat.onReconnectListener = () => this.#look();
    chat.onConnectionErrorListener = (error: unknown) => this.#failed(error);
    window.addEventListener('online', this.doubt);
    window.addEventListener('offline', this.#look);
    document.addEventListener('visibilitychange', this.#check);
    this.#timer = window.setInterval(this.#check, CHECK_MS);
    // Retried by the SDK for as long as it takes, also when this first attempt fails.
    await chat.connect({userId, password: token}).catch((error: unknown) => this.#failed(error));
    this.#look();
  }

  async disconnect(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#deadline);
    window.removeEventListener('online', this.doubt);
    window.removeEventListener('offline', this.#look);
    document.removeEventListener('visibilitychange', this.#check);
    const {chat} = sdk;
    chat.onChatStatusListener = chat.onReconnectListener = chat.onConnectionErrorListener = () => undefined;
    await chat.disconnect().catch(() => undefined);
  }

  /** Wait until signals can be sent. */
  async online(): Promise<void> {
    if (this.state === 'online') return;
    await new Promise<void>((resolve) => {
      const stop = this.on('state', (state) => {
        if (state !== 'online') return;
        stop();
        resolve();
      });
    });
  }

  /** The network may be gone, or another one: find out, and soon. */
  readonly doubt = (): Promise<void> => this.#ask(DOUBT_MS);

  readonly #check = (): Promise<void> => this.#ask(PING_MS);

  /** Neither the SDK nor TCP notices a dead network in useful time, so ask. */
  #ask(patience: number): Promise<void> {
    this.#look();
    if (this.state !== 'online') return Promise.resolve();
    const asked = this.#connections;
    this.#checking ??= sdk.chat.pingWithTimeout(patience)
      .catch(() => asked === this.#connections && sdk.chat.terminate())
      .then(() => {
        this.#checking = undefined;
        this.#look();
      });
    return this.#checking;
  }

  /** An attempt whose next step never comes, the handshake or any other, the SDK would wait for without end. */
  #changed(status: PropertyKey): void {
    if (status === 'connecting') {
      this.#connections++;
      this.#attempts++;
      this.#deadline = window.setTimeout(() => sdk.chat.terminate(), Math.min(this.#attempts * ATTEMPT_MS, MOST_MS));
    } else if (status === 'online' || status === 'disconnect') {
      clearTimeout(this.#deadline);
      if (status === 'online') this.#attempts = 0;
    }
    this.#look();
  }

  readonly #look = (): void => {
    const {isConnected, connectionStatus} = sdk.chat;
    // The one is late to fall, the other early to rise.
    const up = isConnected && connectionStatus === 'online';
    const state = up ? 'online' : navigator.onLine ? 'reconnecting' : 'offline';
    if (state === this.state) return;
    this.state = state;
    this.emit('state', state);
  };

  #failed(error: unknown): void {
    const name = (error as {name?: string} | null)?.name;
    if (name === 'SASLError' || error === 'not-authorized') this.emit('refused', undefined);
    this.#look();
  }
}
