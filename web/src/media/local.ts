// This side's microphone, camera and screen. There is always an audio track and, in a video call,
// a video track; what is off, missing or denied is replaced by silence or a card with the name.
import {Emitter} from '../emitter';
import {prefer, preferences} from '../preferences';
import {Problem, type ProblemCode} from '../texts';
import {nameCard, silence} from './card';

export type VideoSource = 'camera' | 'screen' | 'card';

/** Small at first: the first picture of a call must cross before the bandwidth is known. */
const CAMERA: MediaTrackConstraints = {width: {ideal: 640}, height: {ideal: 360}, frameRate: {ideal: 30}};
const SHARP: MediaTrackConstraints = {...CAMERA, width: {ideal: 1280}, height: {ideal: 720}};
const MICROPHONE: MediaTrackConstraints = {
  echoCancellation: true, noiseSuppression: true, autoGainControl: true,
};

export interface Face {
  initials: string;
  hue: number;
}

export class LocalMedia extends Emitter<{change: void; track: MediaStreamTrack; problem: ProblemCode}> {
  readonly stream = new MediaStream();
  micOn = preferences.micOn;
  source: VideoSource = 'card';
  hasMic = false;
  #sharp = false;
  #cameraWanted = false;
  #open = true;

  private constructor(readonly video: boolean, readonly face: Face) {
    super();
  }

  /** Open what the person wants and the browser gives. Never fails: `problems` say what is missing. */
  static async start(
    video: boolean, face: Face, onProblem: (code: ProblemCode) => void, withCamera = preferences.cameraOn,
  ): Promise<LocalMedia> {
    const media = new LocalMedia(video, face);
    media.#cameraWanted = video && withCamera;
    const {audio, camera} = await openBoth(media.#cameraWanted);
    for (const code of [audio, camera]) if (typeof code === 'string') onProblem(code);
    media.hasMic = typeof audio === 'object';
    media.#put(typeof audio === 'object' ? audio : silence());
    if (video) media.#putVideo(typeof camera === 'object' ? camera : undefined, 'camera');
    navigator.mediaDevices.addEventListener('devicechange', media.#devicesChanged);
    return media;
  }

  get cameraOn(): boolean {
    return this.source === 'camera';
  }

  get sharing(): boolean {
    return this.source === 'screen';
  }

  get audioTrack(): MediaStreamTrack {
    return this.stream.getAudioTracks()[0]!;
  }

  get videoTrack(): MediaStreamTrack | undefined {
    return this.stream.getVideoTracks()[0];
  }

  async setMic(on: boolean): Promise<void> {
    prefer({micOn: on});
    this.micOn = on;
    if (on && !this.hasMic) await this.useMicrophone(preferences.microphone);
    this.audioTrack.enabled = on;
    this.emit('change', undefined);
  }

  /** Off really closes the camera: its light goes out. */
  async setCamera(on: boolean, {once = false} = {}): Promise<void> {
    if (!once) prefer({cameraOn: on});
    this.#cameraWanted = on;
    if (this.sharing) return this.emit('change', undefined);
    await this.#restoreCamera();
  }

  async useCamera(deviceId: string): Promise<void> {
    prefer({camera: deviceId, cameraOn: true});
    this.#cameraWanted = true;
    if (!this.sharing) await this.#restoreCamera();
  }

  async useMicrophone(deviceId: string): Promise<void> {
    prefer({microphone: deviceId});
    const track = await openOne('audio').catch((error: unknown) => this.#complain(error, 'mic'));
    if (!this.#open) return track?.stop();
    this.hasMic = track !== undefined;
    this.#put(track ?? silence());
    this.emit('change', undefined);
  }

  /** Send a larger picture of the camera, now that there is time for it. */
  async sharpen(): Promise<void> {
    this.#sharp = true;
    if (this.cameraOn) await this.videoTrack?.applyConstraints({...SHARP, ...chosen(preferences.camera)}).catch(() => undefined);
  }

  async startScreen(): Promise<void> {
    let track: MediaStreamTrack | undefined;
    try {
      const shown = await navigator.mediaDevices.getDisplayMedia({video: {frameRate: {ideal: 15}}});
      track = shown.getVideoTracks()[0];
    } catch (error) {
      if ((error as Error).name === 'NotAllowedError') return;
      throw new Problem('screen-failed');
    }
    if (!track || !this.#open) return track?.stop();
    track.contentHint = 'detail';
    this.#putVideo(track, 'screen');
  }

  async stopScreen(): Promise<void> {
    if (this.sharing) await this.#restoreCamera();
  }

  close(): void {
    this.#open = false;
    navigator.mediaDevices.removeEventListener('devicechange', this.#devicesChanged);
    for (const track of this.stream.getTracks()) {
      track.onended = null;
      track.stop();
    }
  }

  async #restoreCamera(): Promise<void> {
    // Closed first: many cameras cannot be opened twice, and phones have one at a time.
    if (this.cameraOn) this.videoTrack?.stop();
    const wanted = this.#cameraWanted;
    const track = wanted ? await openOne('video').catch((error: unknown) => this.#complain(error, 'camera')) : undefined;
    if (!this.#open || wanted !== this.#cameraWanted) return track?.stop();
    this.#putVideo(track, 'camera');
    if (this.#sharp) await this.sharpen();
  }

  #putVideo(track: MediaStreamTrack | undefined, source: VideoSource): void {
    this.source = track ? source : 'card';
    this.#put(track ?? nameCard(this.face.initials, this.face.hue));
    this.emit('change', undefined);
  }

  #put(track: MediaStreamTrack): void {
    for (const old of this.stream.getTracks().filter(({kind}) => kind === track.kind)) {
      old.onended = null;
      old.stop();
      this.stream.removeTrack(old);
    }
    if (track.kind === 'audio') track.enabled = this.micOn;
    track.onended = () => void this.#lost(track);
    this.stream.addTrack(track);
    this.emit('track', track);
  }

  /** The device was unplugged, or the person stopped sharing in the browser's own bar. */
  async #lost(track: MediaStreamTrack): Promise<void> {
    if (!this.#open) return;
    if (track.kind === 'audio') {
      this.emit('problem', 'mic-gone');
      this.hasMic = false;
      this.#put(silence());
      this.emit('change', undefined);
    } else if (this.sharing) {
      this.emit('problem', 'share-ended');
      await this.#restoreCamera();
    } else {
      this.emit('problem', 'camera-gone');
      this.#cameraWanted = false;
      this.#putVideo(undefined, 'card');
    }
  }

  readonly #devicesChanged = (): void => this.emit('change', undefined);

  #complain(error: unknown, what: 'mic' | 'camera'): undefined {
    this.emit('problem', codeOf(error, what));
  }
}

type Opened = MediaStreamTrack | ProblemCode | undefined;

/** One question to the person for both devices; one by one if that fails. */
async function openBoth(video: boolean): Promise<{audio: Opened; camera: Opened}> {
  if (video) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({audio: microphone(), video: camera()});
      return {audio: stream.getAudioTracks()[0], camera: stream.getVideoTracks()[0]};
    } catch { /* one of them may still work */ }
  }
  const audio = await openOne('audio').catch((error: unknown) => codeOf(error, 'mic'));
  const picture = video ? await openOne('video').catch((error: unknown) => codeOf(error, 'camera')) : undefined;
  return {audio, camera: picture};
}

async function openOne(kind: 'audio' | 'video'): Promise<MediaStreamTrack> {
  const stream = await navigator.mediaDevices.getUserMedia(kind === 'audio' ? {audio: microphone()} : {video: camera()});
  return stream.getTracks()[0]!;
}

/** `ideal`: a remembered device that is gone must not stop a call. */
const chosen = (deviceId: string) => (deviceId ? {deviceId: {ideal: deviceId}} : {});
const microphone = () => ({...MICROPHONE, ...chosen(preferences.microphone)});
const camera = () => ({...CAMERA, ...chosen(preferences.camera)});

function codeOf(error: unknown, what: 'mic' | 'camera'): ProblemCode {
  switch ((error as Error).name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return `${what}-denied`;
    case 'NotFoundError':
    case 'OverconstrainedError':
      return `${what}-missing`;
    default:
      return `${what}-busy`;
  }
}
