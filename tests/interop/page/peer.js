// Drives the unmodified browser SDK for the tests. Nothing of the SDK is replaced; only the camera
// and microphone are: getUserMedia gives a picture that counts its frames and a steady tone.
'use strict';

const peer = (window.peer = { events: [], streams: {}, sdk: window.ConnectyCube, local: {} });
const {sdk} = peer;

peer.init = ({applicationId, authKey, apiUrl, chatDomain, chatUrl, toneHz, streamId, videochat}) => {
  peer.local = {toneHz, streamId};
  navigator.mediaDevices.getUserMedia = async (constraints) => deviceStream(constraints);
  sdk.init({appId: applicationId, authKey}, {
    debug: {mode: 0},
    endpoints: {api: 'unused.invalid', api_url: apiUrl, chat: chatDomain, chat_url: chatUrl},
    videochat: {iceServers: [], ...videochat},
    chat: {reconnect: {enable: true, timeInterval: 1}},
  });
  listen();
};

peer.login = async (login, password) => {
  const session = await sdk.createSession({login, password});
  peer.userId = session.user_id;
  await sdk.chat.connect({userId: session.user_id, password});
  return session.user_id;
};

const note = (name, session, userId, extra = {}) =>
  peer.events.push({name, session: session?.ID ?? null, userId: userId ?? null,
    wall: performance.timeOrigin + performance.now(), ...extra});

function listen() {
  const calls = sdk.videochat;
  calls.onCallListener = (session, userInfo) => note('call', session, session.initiatorID,
    {userInfo, callType: session.callType, opponents: session.opponentsIDs});
  calls.onAcceptCallListener = (session, userId, userInfo) => note('accept', session, userId, {userInfo});
  calls.onRejectCallListener = (session, userId, userInfo) => note('reject', session, userId, {userInfo});
  calls.onStopCallListener = (session, userId, userInfo) => note('stop', session, userId, {userInfo});
  calls.onInvalidEventsListener = (session, userId) => note('invalid', session, userId);
  calls.onUserNotAnswerListener = (session, userId) => note('not-answer', session, userId);
  calls.onSessionCloseListener = (session) => note('close', session);
  calls.onSessionConnectionStateChangedListener = (session, userId, state) => {
    note('state', session, userId, {state});
    peer.stateChanged?.(session, userId, state);
  };
  calls.onRemoteStreamListener = (session, userId, stream) => {
    attach(userId, stream);
    note('remote-stream', session, userId);
    firstPicture(session, userId, stream);
  };
}

// ---- calls ------------------------------------------------------------------------------------

const sessionOf = (id) => sdk.videochat.sessions[id];
const wants = (session) => ({audio: true, video: session.callType === 1});

peer.call = async (opponents, callType, userInfo = {}) => {
  const session = sdk.videochat.createNewSession(opponents, callType);
  await session.getUserMedia({audio: true, video: callType === 1});
  note('dial', session);
  session.call(userInfo);
  return session.ID;
};
peer.accept = async (id, userInfo = {}) => {
  const session = sessionOf(id);
  await session.getUserMedia(wants(session));
  note('accepting', session);
  session.accept(userInfo);
};
peer.reject = (id, userInfo = {}) => sessionOf(id).reject(userInfo);
peer.stop = (id, userInfo = {}) => sessionOf(id).stop(userInfo);
peer.state = (id) => sessionOf(id)?.state ?? null;
peer.iceRestart = (id, userId) => sessionOf(id).iceRestart(userId);
peer.rejectByRest = (params) => sdk.videochat.callRejectRequest(params);
// Answer at once, for measuring set-up: media is opened before the call comes.
peer.autoAnswer = () => {
  const inner = sdk.videochat.onCallListener;
  sdk.videochat.onCallListener = (session, userInfo) => {
    inner(session, userInfo);
    session.getUserMedia(wants(session)).then(() => {
      note('accepting', session);
      session.accept({});
    });
  };
};

// What the SDK's guide tells applications to do when a path is lost, which the SDK leaves to them: see
// whether the chat answers, connect it anew if not, and restart ICE where this side may. Repeated
// while the path is away. The guide waits for 30 seconds.
peer.restartIceAfter = (seconds, password) => {
  const [active, failed, disconnected] = [2, 3, 4];  // SessionState and SessionConnectionState
  const due = {};
  const restartLater = (session, userId) => setTimeout(restart, seconds * 1000, session, userId);
  const restart = async (session, userId) => {
    delete due[userId];
    if (sessionOf(session.ID)?.state !== active) return;
    due[userId] = restartLater(session, userId);
    try {
      await sdk.chat.pingWithTimeout(2000);
    } catch {
      await sdk.chat.disconnect();
      await sdk.chat.connect({userId: peer.userId, password});
    }
    if (due[userId] && session.canInitiateIceRestart(userId)) await session.iceRestart(userId);
  };
  peer.stateChanged = (session, userId, state) => {
    if (state === failed || state === disconnected) {
      due[userId] ??= restartLater(session, userId);
    } else {
      clearTimeout(due[userId]);
      delete due[userId];
    }
  };
};

// ---- the device -------------------------------------------------------------------------------

let devicePicture;
let audio;

function deviceStream({audio: wantAudio, video: wantVideo}) {
  const tracks = [];
  if (wantAudio) tracks.push(toneTrack());
  if (wantVideo) tracks.push(pictureTrack());
  return new MediaStream(tracks);
}

function toneTrack() {
  audio ??= new AudioContext();
  audio.resume();
  const tone = new OscillatorNode(audio, {frequency: peer.local.toneHz});
  const volume = new GainNode(audio, {gain: 0.3});
  const out = audio.createMediaStreamDestination();
  tone.connect(volume).connect(out);
  tone.start();
  return out.stream.getAudioTracks()[0];
}

function pictureTrack() {
  if (!devicePicture) {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, {width: 640, height: 480});
    const context = canvas.getContext('2d', {alpha: false});
    let counter = 0;
    const paint = () => drawCounter(context, counter++);
    paint();
    setInterval(paint, 40);
    devicePicture = canvas.captureStream(25);
  }
  return devicePicture.getVideoTracks()[0].clone();
}

// The picture code of ringmesh.media.synthetic: 28 cells in the upper quarter.
const CELLS = 28;

// From now on the picture is noise, too: worth several Mbit/s.
let noise = [];
peer.makeHard = () => {
  noise = Array.from({length: 12}, () => {
    const canvas = new OffscreenCanvas(640, 360);
    const context = canvas.getContext('2d', {alpha: false});
    for (let x = 0; x < 640; x += 16) {
      for (let y = 0; y < 360; y += 16) {
        context.fillStyle = `rgb(${[0, 0, 0].map(() => Math.floor(Math.random() * 256)).join(' ')})`;
        context.fillRect(x, y, 16, 16);
      }
    }
    return canvas;
  });
};
peer.setMaxBandwidth = (id, kbps) => sessionOf(id).setMaxBandwidth(kbps);

function drawCounter(context, counter) {
  const {width, height} = context.canvas;
  const value = peer.local.streamId * 65536 + counter % 65536;
  const bits = '10' + value.toString(2).padStart(20, '0') + (value % 61).toString(2).padStart(6, '0');
  context.fillStyle = `hsl(${counter * 3 % 360} 60% 45%)`;
  context.fillRect(0, height / 4, width, height * 3 / 4);
  if (noise.length) context.drawImage(noise[counter % noise.length], 0, height / 4);
  for (let cell = 0; cell < CELLS; cell++) {
    context.fillStyle = bits[cell] === '1' ? '#fff' : '#000';
    context.fillRect(Math.floor(cell * width / CELLS), 0, Math.ceil(width / CELLS) + 1, height / 4);
  }
}

function readCounter(context) {
  const {width, height} = context.canvas;
  const row = context.getImageData(0, Math.floor(height / 8), width, 1).data;
  const level = (cell) => row[4 * Math.floor((cell + 0.5) * width / CELLS) + 1];
  const [white, black] = [level(0), level(1)];
  if (white - black < 60) return null;
  let bits = '';
  for (let cell = 2; cell < CELLS; cell++) bits += level(cell) > (white + black) / 2 ? '1' : '0';
  const value = parseInt(bits.slice(0, 20), 2);
  if (value % 61 !== parseInt(bits.slice(20), 2)) return null;
  return {streamId: Math.floor(value / 65536), counter: value % 65536};
}

// ---- reading what came ------------------------------------------------------------------------

function attach(userId, stream) {
  let entry = peer.streams[userId];
  if (!entry) {
    const element = document.createElement('video');
    Object.assign(element, {autoplay: true, playsInline: true, muted: true, id: `video-${userId}`});
    document.getElementById('videos').append(element);
    entry = peer.streams[userId] = {element};
  }
  if (entry.stream !== stream) {
    entry.stream = stream;
    entry.element.srcObject = stream;
  }
}

// Notes when the first picture has been decoded, before anything paints it.
async function firstPicture(session, userId, stream) {
  const [track] = stream.getVideoTracks();
  if (!track || peer.watched?.has(track)) return;
  (peer.watched ??= new Set()).add(track);
  const reader = new MediaStreamTrackProcessor({track: track.clone()}).readable.getReader();
  const {value} = await reader.read();
  note('decoded', session, userId);
  value?.close();
  reader.cancel();
}

peer.picture = (userId) => {
  const element = peer.streams[userId]?.element;
  if (!element || !element.videoWidth) return null;
  const canvas = new OffscreenCanvas(element.videoWidth, element.videoHeight);
  const context = canvas.getContext('2d', {alpha: false});
  context.drawImage(element, 0, 0);
  return {width: canvas.width, height: canvas.height, ...readCounter(context)};
};

// The strongest frequency (Hz) heard from this user, or null in silence.
peer.tone = async (userId) => {
  const stream = peer.streams[userId]?.stream;
  if (!stream?.getAudioTracks().length) return null;
  audio ??= new AudioContext();
  await audio.resume();
  const entry = peer.streams[userId];
  if (entry.analysed !== stream) {
    entry.analysed = stream;
    entry.analyser = new AnalyserNode(audio, {fftSize: 8192, smoothingTimeConstant: 0});
    audio.createMediaStreamSource(stream).connect(entry.analyser);
  }
  const bins = new Float32Array(entry.analyser.frequencyBinCount);
  entry.analyser.getFloatFrequencyData(bins);
  let best = 0;
  bins.forEach((level, index) => { if (level > bins[best]) best = index; });
  return bins[best] > -60 ? best * audio.sampleRate / entry.analyser.fftSize : null;
};
