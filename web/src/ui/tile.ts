// One person in a call: picture or avatar, name, state, level of the microphone, bitrate.
import {MicOff, MonitorUp, Volume2} from 'lucide';
import type {Person} from '../calls/person';
import type {Sample} from '../calls/stats';
import {toSpeakers} from '../media/devices';
import {LevelMeter} from '../media/level';
import {t} from '../texts';
import {avatar, h, icon, levelBar, set, write} from './dom';

const QUIET_STATES = new Set(['connected']);

export class Tile {
  readonly element: HTMLElement;
  readonly video = h('video', {autoplay: true, playsinline: true, 'data-remote': true});
  readonly #state = h('span', {class: 'tile-state'});
  readonly #reason = h('span', {class: 'tile-reason'});
  readonly #bitrate = h('span', {class: 'tile-bitrate'});
  readonly #muted = h('span', {class: 'tile-muted', title: t.call.muted}, icon(MicOff), h('span', {class: 'visually-hidden'}, t.call.muted));
  readonly #sharing = h('span', {class: 'tile-muted', title: t.call.sharing}, icon(MonitorUp), h('span', {class: 'visually-hidden'}, t.call.sharing));
  readonly #recording = h('span', {class: 'tile-recording', role: 'status'});
  readonly #level;
  readonly #unlock = h('button', {type: 'button', class: 'button tile-unlock', hidden: true, onclick: () => void this.#play()}, icon(Volume2), t.call.enableSound);
  readonly #sizes = new ResizeObserver(() => this.#fit());
  #meter: LevelMeter | undefined;

  constructor(readonly person: Person, readonly withPicture: boolean) {
    this.#level = levelBar(t.call.level(person.name));
    this.element = h('article', {class: 'tile', 'data-user': person.id},
      this.video,
      h('div', {class: 'tile-center'}, avatar(person.user), this.#state, this.#reason),
      this.#recording,
      h('div', {class: 'tile-foot'},
        h('span', {class: 'tile-name'}, person.name), this.#sharing, this.#muted, this.#level.element, this.#bitrate),
      this.#unlock);
    this.video.addEventListener('resize', () => this.#fit());
    this.#sizes.observe(this.element);
    this.draw();
  }

  draw(): void {
    const {person} = this;
    if (person.stream && this.video.srcObject !== person.stream) {
      this.video.srcObject = person.stream;
      void this.#play();
    }
    const state = t.call.states[person.state];
    const reason = person.reason ? t.call.reasons[person.reason] : '';
    set(this.element, 'data-state', person.state);
    set(this.element, 'data-picture', this.withPicture && person.stream !== undefined && !person.gone);
    set(this.element, 'data-sharing', person.sharing);
    set(this.element, 'aria-label', t.call.tile(person.name, [state, reason].filter(Boolean).join(', ')));
    write(this.#state, QUIET_STATES.has(person.state) ? '' : state);
    write(this.#reason, reason);
    this.#muted.hidden = !person.muted || person.gone;
    this.#sharing.hidden = !person.sharing || person.gone;
    write(this.#recording, person.recording && !person.gone ? t.call.recording : '');
    this.#level.element.hidden = this.#bitrate.hidden = person.state !== 'connected';
  }

  showLevel(): void {
    const [sound] = this.person.stream?.getAudioTracks() ?? [];
    if (!sound || this.person.state !== 'connected') return;
    this.#meter = LevelMeter.of(sound, this.#meter);
    this.#level.show(this.#meter.level());
  }

  showFigures(sample: Sample): void {
    write(this.#bitrate, t.call.bitrate(sample.received.kbit));
  }

  /** Fill the tile, unless that would cut off more than half of the picture. */
  #fit(): void {
    const {clientWidth: width, clientHeight: height} = this.element;
    const {videoWidth, videoHeight} = this.video;
    const ratio = (width / height) / (videoWidth / videoHeight);
    set(this.element, 'data-fit', ratio > 2 || ratio < 0.5 ? 'contain' : 'cover');
  }

  async #play(): Promise<void> {
    await toSpeakers(this.video);
    try {
      await this.video.play();
      this.#unlock.hidden = true;
    } catch (error) {
      // Only a refusal needs the person's help; being interrupted by a new stream does not.
      if ((error as Error).name === 'NotAllowedError') this.#unlock.hidden = false;
    }
  }

  close(): void {
    this.#sizes.disconnect();
    this.#meter?.close();
    this.video.srcObject = null;
  }
}
