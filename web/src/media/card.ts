// What is sent in place of a camera or a microphone that is off, missing or denied. Every track of
// a call must exist from its beginning, since the SDK never renegotiates: a video call without a
// video track would not even be heard.
import {audioContext} from './level';

const SIZE = {width: 640, height: 360};
const REPAINT_MS = 500;

/** A name on a coloured ground, as a video track; painted until the track is stopped. */
export function nameCard(initials: string, hue: number): MediaStreamTrack {
  const canvas = Object.assign(document.createElement('canvas'), SIZE);
  const pen = canvas.getContext('2d', {alpha: false})!;
  const [x, y] = [SIZE.width / 2, SIZE.height / 2];
  const paint = () => {
    pen.fillStyle = '#1a1f27'; // as the tiles in style/base.css: on dark grounds its edges are to be seen
    pen.fillRect(0, 0, SIZE.width, SIZE.height);
    pen.fillStyle = `hsl(${hue} 45% 38%)`;
    pen.beginPath();
    pen.arc(x, y, 80, 0, 2 * Math.PI);
    pen.fill();
    pen.fillStyle = '#fff';
    pen.font = '600 64px system-ui, sans-serif';
    pen.textAlign = 'center';
    pen.textBaseline = 'middle';
    pen.fillText(initials, x, y + 4);
  };
  paint();
  const track = canvas.captureStream(2).getVideoTracks()[0]!;
  // A canvas that does not change sends nothing, and a receiver that joins later would see nothing.
  const timer = setInterval(() => (track.readyState === 'live' ? paint() : clearInterval(timer)), REPAINT_MS);
  return track;
}

export function silence(): MediaStreamTrack {
  const [track] = audioContext().createMediaStreamDestination().stream.getAudioTracks();
  return track!;
}
