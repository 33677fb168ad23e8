// The chat connection, over which calls are signalled: keeps it alive and says how it is.
import {Emitter} from './emitter';
import {sdk} from './sdk';

export type LinkState = 'online' | 'reconnecting' | 'offline';

const CHECK_MS = 15_000;
const PING_MS = 4_000;

export class ChatLink extends Emitter<{state: LinkState; refused: void}> {
  state: LinkState = 'reconnecting';
  #timer = 0;
  #checking = false;
  #stuck = 0;

  async connect(userId: number, token: string): Promise<void> {
    const {chat} = sdk;
    chat.onDisconnectedListener = () => this.#look();
    chat.onReconnectListener = () => this.#look();
    chat.onConnectionErrorListener = (error: unknown) => this.#failed(error);
    window.addEventListener('online', this.check);
    window.addEventListener('offline', this.#look);
    document.addEventListener('visibilitychange', this.check);
    this.#timer = window.setInterval(this.check, CHECK_MS);
    // Retried by the SDK for as long as it takes, also when this first attempt fails.
    await chat.connect({userId, password: token}).catch((error: unknown) => this.#failed(error));
    this.#look();
  }

  async disconnect(): Promise<void> {
    clearInterval(this.#timer);
    window.removeEventListener('online', this.check);
    window.removeEventListener('offline', this.#look);
    document.removeEventListener('visibilitychange', this.check);
    const {chat} = sdk;
    chat.onDisconnectedListener = chat.onReconnectListener = chat.onConnectionErrorListener = () => undefined;
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

  readonly #look = (): void => {
    const state = sdk.chat.isConnected ? 'online' : navigator.onLine ? 'reconnecting' : 'offline';
    if (state === this.state) return;
    this.state = state;
    this.emit('state', state);
  };

  /** Neither the SDK nor TCP notices a dead network in useful time, so ask. */
  readonly check = async (): Promise<void> => {
    this.#look();
    if (this.#checking) return;
    this.#checking = true;
    try {
      if (sdk.chat.isConnected) {
        this.#stuck = 0;
        await sdk.chat.pingWithTimeout(PING_MS);
      } else if (sdk.chat.connectionStatus !== 'disconnect' && ++this.#stuck > 1) {
        // A handshake that the other side never finishes would be waited for without end.
        this.#stuck = 0;
        sdk.chat.terminate();
      }
    } catch {
      sdk.chat.terminate();
    } finally {
      this.#checking = false;
      this.#look();
    }
  };

  #failed(error: unknown): void {
    const name = (error as {name?: string} | null)?.name;
    if (name === 'SASLError' || error === 'not-authorized') this.emit('refused', undefined);
    this.#look();
  }
}
