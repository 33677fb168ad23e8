// Calls while nobody looks at the page: the service worker, its subscription, notifications.
import type {Call} from './calls/call';
import {prefer, preferences} from './preferences';
import {showRing, withdrawRing, type Question} from './ringing';
import {sdk} from './sdk';
import type {Server} from './server';
import {displayName} from './texts';

const RING_MS = 60_000;

export type BellProblem = 'denied' | 'failed';

export class Bell {
  #registration: Promise<ServiceWorkerRegistration> | undefined;

  /** @param answer what this page says to the worker's questions. */
  constructor(readonly server: Server, readonly answer: (question: Question) => boolean) {
    if (!this.#possible) return;
    navigator.serviceWorker.addEventListener('message', ({data, ports}) => ports[0]?.postMessage(this.answer(data as Question)));
    navigator.serviceWorker.startMessages();
  }

  get #possible(): boolean {
    return 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window;
  }

  /** Whether this browser and server can do it. */
  get available(): boolean {
    return this.#possible && Boolean(this.server.webPushKey);
  }

  /** Whether calls of the person who is signed in ring here. */
  get on(): boolean {
    const id = this.server.account?.user.id;
    return this.available && Notification.permission === 'granted' && preferences.bellOf === id;
  }

  /** After signing in: browsers and servers may have forgotten a subscription. */
  async refresh(): Promise<void> {
    if (this.on) await this.#subscribe().catch(() => undefined);
  }

  async turnOn(): Promise<BellProblem | null> {
    if ((await Notification.requestPermission()) !== 'granted') return 'denied';
    try {
      await this.#subscribe();
      prefer({bellOf: this.server.account!.user.id});
      return null;
    } catch {
      return 'failed';
    }
  }

  /** No more pushes for the person who is signed in. */
  async turnOff(): Promise<void> {
    if (preferences.bellOf !== this.server.account?.user.id) return;
    prefer({bellOf: 0});
    try {
      const found = await sdk.pushnotifications.subscriptions.list();
      const own = found.filter(({subscription}) => subscription.device.udid === preferences.device);
      await Promise.all(own.map(({subscription}) => sdk.pushnotifications.subscriptions.delete(subscription.id)));
    } finally {
      await (await (await this.#worker()).pushManager.getSubscription())?.unsubscribe();
    }
  }

  /** A call rings in this page, which nobody sees. */
  async ring(call: Call): Promise<void> {
    if (!this.on || !document.hidden) return;
    const ids = [...call.people.keys()];
    await showRing(await this.#worker(), {
      sessionId: call.id, callerId: call.session.initiatorID, others: ids, name: displayName(call.caller!.user),
      video: call.video, expiresAt: Date.now() + RING_MS, userId: this.server.account!.user.id, ticket: '',
    });
  }

  /** It was answered or is over. */
  async silence(call: Call): Promise<void> {
    if (this.on) await withdrawRing(await this.#worker(), call.id);
  }

  async #subscribe(): Promise<void> {
    const {pushManager} = await this.#worker();
    const key = bytesOf(this.server.webPushKey!);
    const old = await pushManager.getSubscription();
    const usable = old && same(key, old.options.applicationServerKey);
    if (old && !usable) await old.unsubscribe();
    const made = usable ? old : await pushManager.subscribe({userVisibleOnly: true, applicationServerKey: key});
    const {endpoint, keys} = made.toJSON();
    if (!preferences.device) prefer({device: crypto.randomUUID()});
    await sdk.pushnotifications.subscriptions.create({
      notification_channel: 'web',
      device: {platform: 'web', udid: preferences.device},
      push_token: {environment: 'production', web_endpoint: endpoint!, web_auth: keys!.auth!, web_p256dh: keys!.p256dh!},
    });
  }

  async #worker(): Promise<ServiceWorkerRegistration> {
    this.#registration ??= navigator.serviceWorker.register(script, {updateViaCache: 'none'});
    this.#registration.catch(() => (this.#registration = undefined));
    await this.#registration;
    return navigator.serviceWorker.ready;
  }
}

const SCRIPT = './service-worker.js';
type Policies = {createPolicy(name: string, rules: object): {createScriptURL(url: string): string}};
const policies = (window as unknown as {trustedTypes?: Policies}).trustedTypes;
/** The only script address that is made in code; the page's policy lets no other through. */
const script = policies?.createPolicy('service-worker', {createScriptURL: () => SCRIPT}).createScriptURL(SCRIPT) ?? SCRIPT;

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64url.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
}

function same(one: Uint8Array, other: ArrayBuffer | null): boolean {
  const bytes = new Uint8Array(other ?? []);
  return bytes.length === one.length && one.every((byte, index) => byte === bytes[index]);
}
