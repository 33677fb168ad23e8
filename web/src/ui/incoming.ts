// Somebody calls: who, how, and the answer.
import {Phone, PhoneOff, Video, VideoOff} from 'lucide';
import type {Call} from '../calls/call';
import {LocalMedia, type Face} from '../media/local';
import {play} from '../media/tones';
import {preferences} from '../preferences';
import {t} from '../texts';
import {avatar, dialog, h, icon, write} from './dom';
import {warn} from './notices';
import {SelfView} from './preview';

const BLINK_MS = 1000;

export interface Incoming {
  call: Call;
  /** As if the person had pressed the button. */
  accept(): void;
}

export function openIncoming(call: Call, face: Face, accept: (media: LocalMedia) => unknown): Incoming {
  const caller = call.caller!;
  const others = [...call.people.values()].filter((person) => person !== caller).map(({name}) => name);
  const title = document.title;
  const silence = play('ringing');
  const blink = window.setInterval(() => {
    document.title = document.title === title ? t.incoming.title(caller.name) : title;
  }, BLINK_MS);
  let view: SelfView | undefined;
  let media: Promise<LocalMedia> | undefined;
  let opened: LocalMedia | undefined;
  let answered = false;

  const openMedia = (camera = preferences.cameraOn) =>
    (media ??= LocalMedia.start(call.video, face, warn, camera).then((found) => (opened = found)));
  const take = async (camera = opened?.cameraOn ?? preferences.cameraOn) => {
    if (answered) return;
    answered = true;
    silence();
    for (const button of buttons) button.disabled = true;
    write(kind, t.incoming.connecting);
    const ready = await openMedia(camera);
    if (call.phase !== 'ringing') return ready.close();
    if (!camera) await ready.setCamera(false, {once: true});
    accept(ready); // closes the dialog
  };
  const kind = h('p', {class: 'incoming-kind'}, call.video ? t.incoming.kind.video : t.incoming.kind.audio,
    others.length > 0 && ` ${t.incoming.with(others)}`);
  const button = (style: string, node: Parameters<typeof icon>[0], label: string, onclick: () => void) =>
    h('button', {type: 'button', class: `answer ${style}`, onclick}, h('span', {class: 'answer-icon'}, icon(node)), label);
  const buttons = [
    button('danger', PhoneOff, t.incoming.decline, () => call.decline()),
    ...(call.video ? [button('plain', VideoOff, t.incoming.acceptWithoutCamera, () => void take(false))] : []),
    button('success', call.video ? Video : Phone, t.incoming.accept, () => void take()),
  ];
  const stage = h('div', {class: 'incoming-stage'}, h('span', {class: 'pulse'}, avatar(caller.user)));
  const box = dialog(t.incoming.heading(caller.name), 'incoming', [
    stage, h('h2', {}, t.incoming.heading(caller.name)), kind, h('div', {class: 'answers'}, ...buttons),
  ], () => {
    silence();
    clearInterval(blink);
    document.title = title;
    view?.close();
    if (!answered) void media?.then((found) => found.close());
    stop();
  });
  // Escape must not hide a ringing call.
  box.addEventListener('cancel', (event) => event.preventDefault());
  const stop = call.on('end', () => {
    box.close();
    opened?.close();
  });
  buttons.at(-1)?.focus();
  void mayUseDevices(call.video).then(async (may) => {
    if (!may || answered || call.phase !== 'ringing') return;
    const found = await openMedia();
    if (call.phase !== 'ringing' || answered) return;
    view = new SelfView(found, call.video);
    kind.after(view.element);
  });
  return {call, accept: () => void take()};
}

/** Whether devices open without a question, so that the preview and the answer are quick. */
async function mayUseDevices(video: boolean): Promise<boolean> {
  const names = ['microphone', ...(video ? ['camera'] : [])];
  try {
    const found = await Promise.all(names.map((name) => navigator.permissions.query({name: name as PermissionName})));
    return found.every(({state}) => state === 'granted');
  } catch {
    return false;
  }
}
