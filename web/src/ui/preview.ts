// How one looks and sounds before a call: picture, level, devices.
import {Mic, MicOff, Phone, Video, VideoOff, X} from 'lucide';
import type {Face} from '../media/local';
import {LocalMedia} from '../media/local';
import {LevelMeter} from '../media/level';
import type {User} from '../server';
import {displayName, t} from '../texts';
import {dialog, h, icon, iconButton, levelBar, relabel, set, write} from './dom';
import {warn} from './notices';
import {bandwidthField, deviceFields} from './settings';

const LEVEL_MS = 80;

/** The own picture with its buttons; usable as soon as devices are open. */
export class SelfView {
  readonly element: HTMLElement;
  readonly #video = h('video', {autoplay: true, playsinline: true, muted: true, class: 'self-video', 'aria-label': t.preview.yourPicture});
  readonly #status = h('p', {class: 'self-status'}, t.preview.starting);
  readonly #level = levelBar(t.preview.level);
  readonly #mic = iconButton(Mic, t.call.muteMic, () => void this.media?.setMic(!this.media.micOn), 'on-video');
  readonly #camera = iconButton(Video, t.call.cameraOff, () => void this.media?.setCamera(!this.media.cameraOn), 'on-video');
  #meter: LevelMeter | undefined;
  #timer = 0;
  #stop: (() => void)[] = [];

  constructor(public media: LocalMedia | undefined, video: boolean) {
    this.#video.muted = true;
    this.element = h('div', {class: 'self-view', 'data-video': video ? 'yes' : 'no'}, this.#video, this.#status,
      h('div', {class: 'self-tools'}, this.#level.element, this.#mic, video && this.#camera));
    if (media) this.use(media);
  }

  use(media: LocalMedia): void {
    this.media = media;
    this.#video.srcObject = media.stream;
    this.#stop.push(media.on('change', () => this.#draw()));
    this.#timer = window.setInterval(() => this.#showLevel(), LEVEL_MS);
    this.#draw();
  }

  #showLevel(): void {
    const media = this.media!;
    this.#meter = LevelMeter.of(media.audioTrack, this.#meter);
    this.#level.show(media.micOn ? this.#meter.level() : 0);
  }

  #draw(): void {
    const media = this.media!;
    relabel(this.#mic, media.micOn ? Mic : MicOff, media.micOn ? t.call.muteMic : t.call.unmuteMic);
    relabel(this.#camera, media.cameraOn ? Video : VideoOff, media.cameraOn ? t.call.cameraOff : t.call.cameraOn);
    set(this.#mic, 'data-off', !media.micOn);
    set(this.#camera, 'data-off', !media.cameraOn);
    set(this.element, 'data-camera', media.cameraOn ? 'on' : 'off');
    write(this.#status, media.video && !media.cameraOn ? t.preview.cameraIsOff : '');
  }

  close(): void {
    clearInterval(this.#timer);
    for (const stop of this.#stop) stop();
    this.#meter?.close();
    this.#video.srcObject = null;
  }
}

export interface PreviewOptions {
  users: User[];
  offline: Promise<User[]>;
  video: boolean;
  face: Face;
  start(media: LocalMedia): void;
}

/** Ask how to join; devices are closed again unless the call starts. */
export function openPreview({users, offline, video, face, start}: PreviewOptions): void {
  const view = new SelfView(undefined, video);
  const names = users.map(displayName);
  const go = h('button', {type: 'button', class: 'button primary', disabled: true, onclick: () => {
    started = true;
    box.close();
    start(media!);
  }}, icon(video ? Video : Phone), video ? t.preview.start.video : t.preview.start.audio);
  const aside = h('p', {class: 'hint', role: 'status'});
  const side = h('div', {class: 'stack'});
  let fields: ReturnType<typeof deviceFields> | undefined;
  let media: LocalMedia | undefined;
  let started = false;
  let open = true;
  const box = dialog(t.preview.heading(names), 'preview', [
    h('header', {class: 'dialog-head'}, h('h2', {}, t.preview.heading(names)), iconButton(X, t.cancel, () => box.close())),
    h('div', {class: 'preview-body'}, view.element, side),
    h('footer', {class: 'dialog-foot'}, aside, go),
  ], () => {
    open = false;
    view.close();
    fields?.close();
    if (!started) media?.close();
  });
  void offline.then((missing) => missing.length && write(aside, t.preview.offline(missing.map(displayName))), () => undefined);
  void LocalMedia.start(video, face, warn).then((opened) => {
    media = opened;
    if (!open) return opened.close();
    opened.on('problem', warn);
    view.use(opened);
    fields = deviceFields({media});
    side.replaceChildren(fields.element, ...(video ? [bandwidthField()] : []));
    go.disabled = false;
    go.focus();
  });
}
