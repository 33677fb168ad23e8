// Rings while no page is seen. It handles pushes and clicks, and nothing else: no request of the page
// passes through it, and nothing is kept.
import {readPush, show, showRing, withdrawRing, type Question, type Ring, type Shown} from './ringing';

declare const self: ServiceWorkerGlobalScope;

const ANSWER_MS = 500;
/** Asked for its notifications before the desktop has taken one, Chromium forgets that one, and it could
 * never be taken away again. */
const SETTLE_MS = 500;
/** Calls of which a page or a push said that they are over, as long as this worker lives. */
const over = new Set<string>();
const settled = new Map<string, Promise<void>>();
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

self.addEventListener('install', () => void self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('push', (event) => event.waitUntil(pushed(event.data)));
self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(clicked(event.notification.data as Shown, event.action));
});

async function pushed(data: PushMessageData | null): Promise<void> {
  const content = readPush(parsed(data), Date.now());
  if (content?.kind === 'start') await ringing(content.ring);
  else if (content?.kind === 'end') {
    over.add(content.sessionId);
    await settled.get(content.sessionId);
    await withdrawRing(self.registration, content.sessionId, content.missed);
  } else if (content) await show(self.registration, content.title, {body: content.body}, {kind: 'message'});
}

function parsed(data: PushMessageData | null): unknown {
  try {
    return data?.json();
  } catch {
    return null;
  }
}

/** Until the ring is over, lest it stays where its end gets lost. */
async function ringing(ring: Ring): Promise<void> {
  if (over.has(ring.sessionId) || ring.expiresAt <= Date.now() || (await taken({ask: 'shown', ring}))) return;
  const shown = showRing(self.registration, ring);
  settled.set(ring.sessionId, shown.then(() => pause(SETTLE_MS)));
  await shown;
  await pause(ring.expiresAt - Date.now());
  settled.delete(ring.sessionId);
  await withdrawRing(self.registration, ring.sessionId, true);
}

async function clicked({kind, ring}: Shown, action: string): Promise<void> {
  if (kind !== 'ring' || !ring) return void (await focused(await pages()) || await self.clients.openWindow('./'));
  if (action === 'decline') {
    if (!(await taken({ask: 'decline', ring}))) await decline(ring);
    return;
  }
  const ask = action === 'accept' ? 'accept' : 'open';
  const page = await taken({ask, ring});
  if (page) return void (await focused([page]));
  const {sessionId, ticket} = ring;
  await self.clients.openWindow(`./#${new URLSearchParams({answer: ask, session: sessionId, ticket})}`);
}

async function decline({sessionId, ticket, others}: Ring): Promise<void> {
  if (!ticket || !others.length) return;
  await fetch(new URL('calls/ticket/reject', self.registration.scope), {
    method: 'POST',
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({session_id: sessionId, ticket, recipient_ids: others}),
  }).catch(() => undefined);
}

// ---- pages -------------------------------------------------------------------------------------

const pages = () => self.clients.matchAll({type: 'window', includeUncontrolled: true});

/** The page that takes care of it, if there is one. */
async function taken(question: Question): Promise<WindowClient | undefined> {
  const open = await pages();
  const answers = await Promise.all(open.map((page) => answerOf(page, question)));
  return open[answers.indexOf(true)];
}

function answerOf(page: WindowClient, question: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const {port1, port2} = new MessageChannel();
    const timer = setTimeout(resolve, ANSWER_MS, false); // a frozen page
    port1.onmessage = ({data}) => {
      clearTimeout(timer);
      resolve(data === true);
    };
    page.postMessage(question, [port2]);
  });
}

async function focused([page]: readonly WindowClient[]): Promise<boolean> {
  return Boolean(page && (await page.focus().then(() => true, () => false)));
}
