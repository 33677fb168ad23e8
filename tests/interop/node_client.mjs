// One user of the unmodified npm SDK in Node: commands come as JSON lines, events go as JSON lines.
// Node has no WebRTC, so media is a stand-in with just enough of its interface to exchange signals.
import { createInterface } from 'node:readline';

const SDP = ['v=0', 'o=- 1 2 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=ice-options:trickle', ''].join('\r\n');

class FakeTrack {
  constructor(kind) { this.kind = kind; this.enabled = true; }
  getSettings() { return {}; }
  stop() {}
}

class FakeStream {
  constructor(tracks = []) { this.tracks = tracks; }
  getTracks() { return this.tracks; }
  getAudioTracks() { return this.tracks.filter((track) => track.kind === 'audio'); }
  getVideoTracks() { return this.tracks.filter((track) => track.kind === 'video'); }
  addTrack(track) { this.tracks.push(track); }
  removeTrack() {}
}

class FakePeerConnection extends EventTarget {
  signalingState = 'stable';
  iceConnectionState = 'new';
  canTrickleIceCandidates = true;
  localDescription = null;
  remoteDescription = null;
  getSenders() { return []; }
  getStats() { return Promise.resolve(new Map()); }
  addTrack() {}
  createOffer() { return Promise.resolve({ type: 'offer', sdp: SDP }); }
  createAnswer() { return Promise.resolve({ type: 'answer', sdp: SDP }); }
  async setLocalDescription(description) {
    this.localDescription = description;
    this.turn(description.type === 'offer' ? 'have-local-offer' : 'stable');
    const candidate = { sdpMLineIndex: 0, sdpMid: '0', candidate: 'candidate:1 1 udp 1 127.0.0.1 9 typ host' };
    this.dispatchEvent(Object.assign(new Event('icecandidate'), { candidate }));
  }
  async setRemoteDescription(description) {
    this.remoteDescription = description;
    this.turn(description.type === 'offer' ? 'have-remote-offer' : 'stable');
  }
  async addIceCandidate(candidate) { say('candidate', { candidate }); }
  close() { this.signalingState = 'closed'; }
  turn(state) {
    this.signalingState = state;
    this.dispatchEvent(new Event('signalingstatechange'));
  }
}

function say(event, values = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...values })}\n`);
}

const mediaDevices = {
  getUserMedia: async () => new FakeStream([new FakeTrack('audio')]),
  enumerateDevices: async () => [],
};
const webrtc = {
  RTCPeerConnection: FakePeerConnection,
  RTCSessionDescription: class { constructor(values) { Object.assign(this, values); } },
  RTCIceCandidate: class { constructor(values) { Object.assign(this, values); } },
  MediaStream: FakeStream,
  MediaStreamTrack: FakeTrack,
};
Object.defineProperty(globalThis, 'navigator', { value: { mediaDevices, userAgent: 'node' }, configurable: true });
globalThis.window = { navigator: globalThis.navigator, ...webrtc };
globalThis.document = { getElementById: () => null };
Object.assign(globalThis, webrtc);
console.log = console.info = console.warn = console.debug = () => {};  // output is for events
process.on('unhandledRejection', (error) => say('problem', { text: String(error) }));

const ConnectyCube = (await import('connectycube')).default;
const config = JSON.parse(process.argv[2]);
ConnectyCube.init(
  { appId: config.applicationId, authKey: config.authKey },
  {
    debug: { mode: 0 },
    endpoints: { api: 'unused', api_url: config.apiUrl, chat: config.chatDomain, chat_url: config.chatUrl },
    chatProtocol: { websocket: config.chatUrl, active: 2 },
    videochat: { iceServers: [] },
  },
);
const session = await ConnectyCube.createSession({ login: config.login, password: config.password });
const { chat, videochat } = ConnectyCube;
let call = null;
videochat.onCallListener = (incoming, userInfo) => {
  call = incoming;
  say('call', { session: incoming.ID, from: incoming.initiatorID, userInfo });
};
videochat.onAcceptCallListener = (accepted, userId, userInfo) => say('accept', { userId, userInfo });
videochat.onRejectCallListener = (rejected, userId, userInfo) => say('reject', { userId, userInfo });
videochat.onStopCallListener = (stopped, userId, userInfo) => say('stop', { userId, userInfo });
chat.onSystemMessageListener = (message) => say('system', { message });
chat.onMessageListener = (userId, message) => say('message', { userId, message });
chat.onMessageTypingListener = (isTyping, userId) => say('typing', { isTyping, userId });
chat.onDeliveredStatusListener = (messageId, dialogId, userId) => say('delivered', { messageId, userId });
chat.onReadStatusListener = (messageId, dialogId, userId) => say('read', { messageId, userId });

const commands = {
  async call({ users, userInfo }) {
    call = videochat.createNewSession(users, 2, {});
    await call.getUserMedia({ audio: true });
    call.call(userInfo ?? {});
  },
  async accept({ userInfo }) {
    await call.getUserMedia({ audio: true });
    call.accept(userInfo ?? {});
  },
  reject({ userInfo }) { call.reject(userInfo ?? {}); },
  stop({ userInfo }) { call.stop(userInfo ?? {}); },
  system({ user, extension }) { chat.sendSystemMessage(user, { extension }); },
  message({ user, message }) { say('sent', { id: chat.send(user, message) }); },
  typing({ user }) { chat.sendIsTypingStatus(user); },
  delivered(status) { chat.sendDeliveredStatus(status); },
  read(status) { chat.sendReadStatus(status); },
  privacy({ method, value }) {
    chat.privacylist[method](value)
      .then((result) => say('privacy', { result }), (error) => say('privacy', { error }));
  },
  async quit() { await chat.disconnect(); process.exit(0); },
};

const connected = await chat.connect({ userId: session.user_id, password: config.password });
say('online', { userId: session.user_id, connected });
for await (const line of createInterface({ input: process.stdin })) {
  const { name, ...values } = JSON.parse(line);
  await commands[name](values);
}
