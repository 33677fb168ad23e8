// The running call: tiles, controls, statistics.
import {
  ChartNoAxesColumn, Mic, MicOff, MonitorUp, MonitorX, PhoneOff, Settings2, SwitchCamera, Video, VideoOff,
} from 'lucide';
import type {Call} from '../calls/call';
import type {Person} from '../calls/person';
import {PeerStats} from '../calls/stats';
import {devices} from '../media/devices';
import {LevelMeter} from '../media/level';
import {play} from '../media/tones';
import {preferences} from '../preferences';
import type {User} from '../server';
import {clock, problemText, t} from '../texts';
import {avatar, h, icon, iconButton, levelBar, relabel, set, write} from './dom';
import {keepLaidOut} from './layout';
import {announce, notice, warn} from './notices';
import {openSettings} from './settings';
import {StatsPanel} from './stats-panel';
import {Tile} from './tile';

const LEVEL_MS = 100;
const STATS_MS = 1000;

export class CallScreen {
  readonly element: HTMLElement;
  readonly #tiles = new Map<number, Tile>();
  readonly #stats = new Map<number, PeerStats>();
  readonly #time = h('span', {class: 'call-time', role: 'timer', 'aria-label': t.call.duration});
  readonly #grid = h('div', {class: 'tiles'});
  readonly #panel = new StatsPanel();
  readonly #selfVideo = h('video', {autoplay: true, playsinline: true, muted: true});
  readonly #selfLevel = levelBar(t.call.level(t.you));
  readonly #selfMuted = h('span', {class: 'tile-muted'}, icon(MicOff));
  readonly #self: HTMLElement;
  readonly #mic = iconButton(Mic, t.call.muteMic, () => void this.#media.setMic(!this.#media.micOn), 'control');
  readonly #camera = iconButton(Video, t.call.cameraOff, () => void this.#media.setCamera(!this.#media.cameraOn), 'control');
  readonly #switch = iconButton(SwitchCamera, t.call.switchCamera, () => void this.#switchCamera(), 'control');
  readonly #share = iconButton(MonitorUp, t.call.share, () => void this.#toggleScreen(), 'control');
  readonly #statsButton = iconButton(ChartNoAxesColumn, t.call.stats, () => this.#toggleStats(), 'control');
  readonly #undo: (() => void)[] = [];
  #meter: LevelMeter | undefined;
  #silence: (() => void) | undefined;

  constructor(readonly call: Call, me: User) {
    this.#selfVideo.muted = true;
    this.#self = h('article', {class: 'tile self', 'aria-label': t.you}, this.#selfVideo,
      h('div', {class: 'tile-center'}, avatar(me)),
      h('div', {class: 'tile-foot'}, h('span', {class: 'tile-name'}, t.you), this.#selfMuted, this.#selfLevel.element));
    for (const person of call.people.values()) this.#tiles.set(person.id, new Tile(person, call.video));
    this.#grid.append(...[...this.#tiles.values()].map(({element}) => element));
    const stage = h('div', {class: 'stage', 'data-people': call.people.size}, this.#grid);
    (call.isGroup ? this.#grid : stage).append(this.#self);
    this.element = h('main', {class: 'call', 'aria-label': t.call.region},
      h('header', {class: 'call-head'},
        h('h1', {class: 'call-title'}, t.names([...call.people.values()].map(({name}) => name))), this.#time),
      stage, this.#panel.element, this.#controls());
    set(this.#statsButton, 'aria-expanded', 'false');
    this.#listen();
    this.#drawSelf();
    this.#draw();
  }

  get #media() {
    return this.call.media!;
  }

  #controls(): HTMLElement {
    const {call} = this;
    const forAll = call.isGroup && !call.incoming;
    const label = forAll ? t.call.endForAll : t.call.hangUp;
    return h('footer', {class: 'controls', role: 'toolbar', 'aria-label': t.call.controls},
      this.#mic, call.video && this.#camera, call.video && this.#switch,
      call.video && 'getDisplayMedia' in navigator.mediaDevices && this.#share,
      iconButton(Settings2, t.call.devices, () => openSettings({media: this.#media, call}), 'control'),
      this.#statsButton,
      iconButton(PhoneOff, label, () => call.hangUp(), 'control hang-up'));
  }

  #listen(): void {
    const {call} = this;
    const layout = keepLaidOut(this.#grid, () => this.#grid.children.length);
    const levels = setInterval(() => this.#showLevels(), LEVEL_MS);
    const figures = setInterval(() => void this.#takeFigures(), STATS_MS);
    this.#undo.push(
      call.on('person', (person) => this.#personChanged(person)),
      call.on('change', () => this.#draw()),
      this.#media.on('change', () => this.#drawSelf()),
      this.#media.on('problem', warn),
      layout.close,
      () => clearInterval(levels),
      () => clearInterval(figures),
    );
  }

  close(): void {
    this.#silence?.();
    for (const undo of this.#undo) undo();
    for (const tile of this.#tiles.values()) tile.close();
    this.#meter?.close();
    this.#selfVideo.srcObject = null;
  }

  // ---- drawing ----------------------------------------------------------------------------------

  readonly #said = new Map<number, string>();

  #personChanged(person: Person): void {
    this.#tiles.get(person.id)?.draw();
    if (this.#said.get(person.id) === person.state) return;
    this.#said.set(person.id, person.state);
    const reason = person.reason ? `, ${t.call.reasons[person.reason]}` : '';
    announce(t.call.announce(person.name, t.call.states[person.state] + reason));
  }

  #draw(): void {
    const {call} = this;
    const people = [...call.people.values()];
    write(this.#time, call.connectedAt ? clock((performance.now() - call.connectedAt) / 1000) : '');
    const waiting = !call.connectedAt && people.some(({state}) => state === 'calling' || state === 'ringing');
    if (waiting && !call.incoming) this.#silence ??= play('dialling');
    else if (!waiting) {
      this.#silence?.();
      this.#silence = undefined;
    }
    set(this.element, 'data-connected', call.connectedAt > 0);
  }

  #drawSelf(): void {
    const media = this.#media;
    if (this.#selfVideo.srcObject !== media.stream) this.#selfVideo.srcObject = media.stream;
    relabel(this.#mic, media.micOn ? Mic : MicOff, media.micOn ? t.call.muteMic : t.call.unmuteMic);
    relabel(this.#camera, media.cameraOn ? Video : VideoOff, media.cameraOn ? t.call.cameraOff : t.call.cameraOn);
    relabel(this.#share, media.sharing ? MonitorX : MonitorUp, media.sharing ? t.call.stopSharing : t.call.share);
    set(this.#mic, 'data-off', !media.micOn);
    set(this.#camera, 'data-off', !media.cameraOn);
    set(this.#share, 'data-on', media.sharing);
    set(this.#self, 'data-picture', media.video && media.source !== 'card');
    set(this.#self, 'data-mirror', media.cameraOn);
    set(this.#self, 'data-sharing', media.sharing);
    this.#camera.disabled = media.sharing;
    this.#selfMuted.hidden = media.micOn;
    void this.#drawSwitch();
  }

  async #drawSwitch(): Promise<void> {
    const cameras = await devices('videoinput');
    this.#switch.hidden = cameras.length < 2 || !this.#media.cameraOn;
  }

  #showLevels(): void {
    for (const tile of this.#tiles.values()) tile.showLevel();
    this.#meter = LevelMeter.of(this.#media.audioTrack, this.#meter);
    this.#selfLevel.show(this.#media.micOn ? this.#meter.level() : 0);
  }

  async #takeFigures(): Promise<void> {
    for (const person of this.call.people.values()) {
      const peer = this.call.peer(person.id);
      if (person.state !== 'connected' || !peer) continue;
      const stats = this.#stats.get(person.id) ?? new PeerStats();
      this.#stats.set(person.id, stats);
      const sample = await stats.take(peer);
      if (sample) this.#tiles.get(person.id)?.showFigures(sample);
    }
    if (!this.#panel.element.hidden) this.#panel.draw([...this.call.people.values()], this.#stats);
  }

  // ---- buttons ----------------------------------------------------------------------------------

  async #switchCamera(): Promise<void> {
    const cameras = await devices('videoinput');
    const current = this.#media.videoTrack?.getSettings().deviceId ?? preferences.camera;
    const next = cameras[(cameras.findIndex(({id}) => id === current) + 1) % cameras.length];
    if (next) await this.#media.useCamera(next.id);
  }

  async #toggleScreen(): Promise<void> {
    try {
      await (this.#media.sharing ? this.#media.stopScreen() : this.#media.startScreen());
    } catch (error) {
      notice(problemText(error), 'warning');
    }
  }

  #toggleStats(): void {
    const {element} = this.#panel;
    element.hidden = !element.hidden;
    set(this.#statsButton, 'aria-expanded', String(!element.hidden));
    set(this.#statsButton, 'data-on', !element.hidden);
    if (!element.hidden) this.#panel.draw([...this.call.people.values()], this.#stats);
  }
}
