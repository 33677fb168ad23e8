// How loud a stream is, and the one audio context of the page.

let context: AudioContext | undefined;

/** Suspended until the person has touched the page, as browsers demand. */
export function audioContext(): AudioContext {
  context ??= new AudioContext();
  if (context.state === 'suspended') void context.resume().catch(() => undefined);
  return context;
}

export class LevelMeter {
  readonly #source: MediaStreamAudioSourceNode;
  readonly #analyser: AnalyserNode;
  readonly #samples: Float32Array<ArrayBuffer>;

  /** The one there is if it listens to this track; else a new one in its place. */
  static of(track: MediaStreamTrack, meter: LevelMeter | undefined): LevelMeter {
    if (meter?.track === track) return meter;
    meter?.close();
    return new LevelMeter(track);
  }

  private constructor(readonly track: MediaStreamTrack) {
    const audio = audioContext();
    this.#analyser = new AnalyserNode(audio, {fftSize: 512});
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source = audio.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(this.#analyser);
  }

  /** 0 is -60 dB or less, 1 is full scale. */
  level(): number {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    return Math.min(1, Math.max(0, 1 + (10 * Math.log10(power + 1e-9)) / 60));
  }

  close(): void {
    this.#source.disconnect();
  }
}
