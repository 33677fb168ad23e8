// What the page and its service worker share: a call that rings, its notification, what they tell each other.
import {inLanguage} from './language';
import {ringEn} from './texts.ring.en';

export const text = inLanguage({en: ringEn});

/** A call as a push or the page tells of it. */
export interface Ring {
  sessionId: string;
  callerId: number;
  /** Everybody else in the call. */
  others: number[];
  name: string;
  video: boolean;
  /** Milliseconds since 1970. */
  expiresAt: number;
  /** Who is called, 0 if the push does not say. */
  userId: number;
  /** Lets this browser answer without a session; empty if there is none. */
  ticket: string;
}

/** The worker asks pages; the first that answers `true` takes it. */
export interface Question {
  ask: 'shown' | 'open' | 'accept' | 'decline';
  ring: Ring;
}

export type PushContent =
  | {kind: 'start'; ring: Ring}
  | {kind: 'end'; sessionId: string; missed: boolean}
  | {kind: 'message'; title: string; body: string};

/** Without a word about its end, a ring lasts as long as the SDKs dial. */
const RING_MS = 60_000;
const LONGEST_TEXT = 200;
const MOST_OTHERS = 20;

const short = (value: unknown): string => (typeof value === 'string' ? value.slice(0, LONGEST_TEXT) : '');
const idOf = (value: unknown): number => {
  const id = Number(value);
  return Number.isSafeInteger(id) && id > 0 ? id : 0;
};

/** Read a push in the form of the mobile SDKs or of the web's; null if it says nothing to anybody. */
export function readPush(content: unknown, now: number): PushContent | null {
  const {data, ...rest} = Object(content) as Record<string, unknown>;
  const values = Object(data) as Record<string, unknown>;
  const sessionId = short(values.session_id ?? values.uuid);
  const signal = values.signal_type ?? ('initiatorId' in values ? 'startCall' : '');
  if (sessionId && signal === 'startCall') return {kind: 'start', ring: ringOf(sessionId, values, rest, now)};
  if (sessionId && (signal === 'endCall' || signal === 'rejectCall')) {
    return {kind: 'end', sessionId, missed: [undefined, 'cancelled', 'timed_out'].includes(values.reason as string)};
  }
  const body = short(values.message);
  return body && !signal ? {kind: 'message', title: short(values.title) || text.app, body} : null;
}

function ringOf(sessionId: string, values: Record<string, unknown>, rest: Record<string, unknown>, now: number): Ring {
  const callerId = idOf(values.caller_id ?? values.initiatorId);
  const userId = idOf(rest.user_id);
  const listed = String(values.call_opponents ?? values.opponentsIds ?? '').split(',').slice(0, MOST_OTHERS).map(idOf);
  const kind = values.call_type ?? values.callType;
  return {
    sessionId, callerId, userId,
    others: [...new Set([callerId, ...listed])].filter((id) => id && id !== userId),
    name: short(values.caller_name ?? values.handle) || `#${callerId}`,
    video: !['2', 'audio'].includes(String(kind)),
    expiresAt: (idOf(rest.expires_at) || idOf(values.expiration)) * 1000 || now + RING_MS,
    ticket: short(rest.ticket),
  };
}

// ---- notifications -----------------------------------------------------------------------------

export interface Shown {
  kind: 'ring' | 'missed' | 'message';
  ring?: Ring;
}

const tagOf = (sessionId: string) => `call-${sessionId}`;

export async function showRing(registration: ServiceWorkerRegistration, ring: Ring): Promise<void> {
  await show(registration, text.heading(ring.name), {
    body: ring.video ? text.kind.video : text.kind.audio,
    tag: tagOf(ring.sessionId),
    requireInteraction: true,
    vibrate: [600, 300, 600, 300, 600],
    actions: [{action: 'accept', title: text.accept}, {action: 'decline', title: text.decline}],
  }, {kind: 'ring', ring});
}

/** Take a ring away; with `missed` something quieter takes its place. Does nothing where nothing rings. */
export async function withdrawRing(registration: ServiceWorkerRegistration, sessionId: string, missed = false): Promise<void> {
  for (const notification of await registration.getNotifications({tag: tagOf(sessionId)})) {
    const {kind, ring} = notification.data as Shown;
    if (kind !== 'ring' || !ring) continue;
    notification.close();
    if (missed) await show(registration, text.missed(ring.name), {tag: tagOf(sessionId), silent: true}, {kind: 'missed'});
  }
}

export async function show(registration: ServiceWorkerRegistration, title: string, options: object, data: Shown): Promise<void> {
  await registration.showNotification(title, {...options, data});
}
