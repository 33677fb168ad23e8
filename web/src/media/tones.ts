// Ring tones, generated: nothing to load, nothing to license.
import {audioContext} from './level';

type Note = [frequency: number, start: number, length: number];
interface Melody { notes: Note[]; period: number; volume: number }

const melodies = {
  ringing: {period: 3, volume: 0.2, notes: [
    [659, 0, 0.18], [784, 0.2, 0.18], [988, 0.4, 0.36], [659, 0.9, 0.18], [784, 1.1, 0.18], [988, 1.3, 0.36],
  ]},
  dialling: {period: 4, volume: 0.07, notes: [[425, 0, 1]]},
  ended: {period: 0, volume: 0.12, notes: [[523, 0, 0.14], [392, 0.16, 0.22]]},
  test: {period: 0, volume: 0.2, notes: [[523, 0, 0.2], [659, 0.2, 0.2], [784, 0.4, 0.4]]},
} satisfies Record<string, Melody>;

/** Play a melody, again and again if it has a period; the result stops it. */
export function play(name: keyof typeof melodies, output?: AudioNode): () => void {
  const melody: Melody = melodies[name];
  const audio = audioContext();
  const volume = new GainNode(audio, {gain: melody.volume});
  volume.connect(output ?? audio.destination);
  const once = () => {
    if (audio.state === 'running') for (const note of melody.notes) sound(audio, volume, note);
  };
  once();
  const timer = melody.period ? window.setInterval(once, melody.period * 1000) : 0;
  return () => {
    clearInterval(timer);
    volume.disconnect();
  };
}

function sound(audio: AudioContext, output: AudioNode, [frequency, start, length]: Note): void {
  const begin = audio.currentTime + start;
  const tone = new OscillatorNode(audio, {frequency, type: 'sine'});
  const shape = new GainNode(audio, {gain: 0});
  shape.gain.setValueAtTime(0, begin);
  shape.gain.linearRampToValueAtTime(1, begin + 0.02);
  shape.gain.setValueAtTime(1, begin + length - 0.05);
  shape.gain.linearRampToValueAtTime(0, begin + length);
  tone.connect(shape).connect(output);
  tone.start(begin);
  tone.stop(begin + length);
}
