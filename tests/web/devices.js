// Devices for the page under test, appended to interop/page/peer.js, whose picture code and tones
// they use: two cameras, two microphones, two speakers and a screen, which a test may deny, remove
// or break through `window.fake`.
'use strict';

const fake = (window.fake = {
  denied: [], missing: [], opened: [], sinks: {}, violations: [],
  cameras: ['camera-1', 'camera-2'], microphones: ['mic-1', 'mic-2'], speakers: ['speakers-1', 'speakers-2'],
});
document.addEventListener('securitypolicyviolation', ({violatedDirective, blockedURI}) =>
  fake.violations.push(`${violatedDirective} ${blockedURI}`));

if (navigator.mediaDevices) {
  Object.assign(navigator.mediaDevices, {
    getUserMedia: async ({audio, video}) => new MediaStream([
      ...(audio ? [fakeTrack('microphone', fake.microphones, audio)] : []),
      ...(video ? [fakeTrack('camera', fake.cameras, video)] : []),
    ]),
    getDisplayMedia: async () => new MediaStream([fakeTrack('screen', ['screen'], {})]),
    enumerateDevices: async () => [
      ...fake.cameras.map((id) => deviceInfo('videoinput', id)),
      ...fake.microphones.map((id) => deviceInfo('audioinput', id)),
      ...fake.speakers.map((id) => deviceInfo('audiooutput', id)),
    ],
  });
  const query = navigator.permissions.query.bind(navigator.permissions);
  navigator.permissions.query = async (what) =>
    ['camera', 'microphone'].includes(what.name)
      ? {state: fake.denied.includes(what.name) ? 'denied' : 'granted'} : query(what);
  HTMLMediaElement.prototype.setSinkId = async function (id) {
    if (id && !fake.speakers.includes(id)) throw new DOMException('no such speakers', 'NotFoundError');
    fake.sinks[this.closest('[data-user]')?.dataset.user ?? 'none'] = id;
    Object.defineProperty(this, 'sinkId', {value: id, configurable: true});
  };
}

// So that tests see the connections that the SDK makes, and can let them find no path.
fake.peers = [];
fake.deadRelay = false;
const nowhere = {iceTransportPolicy: 'relay', iceServers: [{urls: 'turn:127.0.0.1:9?transport=tcp', username: 'u', credential: 'c'}]};
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(options) {
    super(fake.deadRelay ? {...options, ...nowhere} : options);
    fake.peers.push(this);
  }
};
fake.fragments = () => fake.peers
  .filter(({signalingState, localDescription}) => signalingState !== 'closed' && localDescription)
  .map(({localDescription}) => /a=ice-ufrag:(\S+)/.exec(localDescription.sdp)[1]);
const statistics = () => Promise.all(fake.peers.map((peer) => peer.getStats()));
fake.keyFrames = async () => (await statistics()).flatMap((report) => [...report.values()])
  .filter(({type, kind}) => type === 'outbound-rtp' && kind === 'video')
  .reduce((sum, {keyFramesEncoded}) => sum + keyFramesEncoded, 0);
// The addresses, as others see them, from which the connections send.
fake.addresses = async () => (await statistics()).flatMap((report) => [...report.values()]
  .filter(({type}) => type === 'transport')
  .map(({selectedCandidatePairId}) => report.get(report.get(selectedCandidatePairId)?.localCandidateId))
  .map((local) => local?.candidateType === 'relay' ? local.relatedAddress : local?.address));
// Let a connection look as if it were in this state until it is renegotiated, or for good.
fake.pretend = (peer, state, forGood = false) => {
  Object.defineProperty(peer, 'iceConnectionState', {value: state, configurable: true});
  peer.dispatchEvent(new Event('iceconnectionstatechange'));
  if (!forGood) peer.addEventListener('signalingstatechange', () => delete peer.iceConnectionState, {once: true});
};

const deviceInfo = (kind, deviceId) => ({kind, deviceId, label: deviceId, groupId: ''});

function fakeTrack(kind, ids, constraints) {
  if (fake.denied.includes(kind)) throw new DOMException('denied', 'NotAllowedError');
  if (fake.missing.includes(kind) || !ids.length) throw new DOMException('none', 'NotFoundError');
  const wanted = constraints.deviceId?.ideal;
  const id = ids.includes(wanted) ? wanted : ids[0];
  const track = kind === 'microphone' ? toneTrack() : paintedTrack(kind === 'screen' ? 2 : ids.indexOf(id));
  track.getSettings = () => ({deviceId: id});
  fake.opened.push({kind, id, track});
  return track;
}

// As peer.js paints, with a number of its own for every device.
function paintedTrack(offset) {
  const canvas = Object.assign(document.createElement('canvas'), {width: 640, height: 480});
  const context = canvas.getContext('2d', {alpha: false});
  const streamId = peer.local.streamId + offset;
  let counter = 0;
  const paint = () => {
    const own = peer.local.streamId;
    peer.local.streamId = streamId;
    drawCounter(context, counter++);
    peer.local.streamId = own;
  };
  paint();
  const track = canvas.captureStream(25).getVideoTracks()[0];
  const timer = setInterval(() => (track.readyState === 'live' ? paint() : clearInterval(timer)), 40);
  return track;
}

// A device is unplugged: its tracks end by themselves.
fake.unplug = (kind) => {
  fake.missing.push(kind);
  for (const {kind: one, track} of fake.opened) {
    if (one !== kind || track.readyState !== 'live') continue;
    track.stop();
    track.dispatchEvent(new Event('ended'));
  }
};
fake.live = (kind) => fake.opened.filter((one) => one.kind === kind && one.track.readyState === 'live').map(({id}) => id);

// What this page shows and plays of a user.
const elementOf = (userId) => document.querySelector(`.tile[data-user="${userId}"] video`);
fake.picture = (userId) => {
  const element = elementOf(userId);
  if (!element?.srcObject || getComputedStyle(element).visibility === 'hidden') return null;
  peer.streams[userId] = {...peer.streams[userId], element};
  return peer.picture(userId);
};
fake.tone = async (userId) => {
  const element = elementOf(userId);
  if (!element?.srcObject || element.muted || element.paused) return null;
  peer.streams[userId] = {...peer.streams[userId], stream: element.srcObject};
  return peer.tone(userId);
};
