// What a page hears and sees of another, by content and with times (seconds of the wall clock).
'use strict';

window.iceServers = [];
window.watching = null;

const now = () => (performance.timeOrigin + performance.now()) / 1000;

// As docs/network.md tells applications to do it: the SDK keeps this very array.
window.fetchIceServers = async (apiUrl, token) => {
  const answer = await fetch(`${apiUrl}/ice_servers.json`, {headers: {'CB-Token': token}});
  const {ice_servers: servers} = await answer.json();
  window.iceServers.splice(0, Infinity, ...servers);
};

window.watch = async (userId, toneHz, streamId) => {
  const entry = peer.streams[userId];
  if (!entry) return false;
  const state = (window.watching = {sound: [], pictures: []});
  const context = new AudioContext();
  await context.resume();
  const analyser = new AnalyserNode(context, {fftSize: 2048, smoothingTimeConstant: 0});
  context.createMediaStreamSource(entry.stream).connect(analyser);
  const bins = new Float32Array(analyser.frequencyBinCount);
  setInterval(() => {
    analyser.getFloatFrequencyData(bins);
    let best = 0;
    bins.forEach((level, index) => { if (level > bins[best]) best = index; });
    const heard = best * context.sampleRate / analyser.fftSize;
    if (bins[best] > -60 && Math.abs(heard - toneHz) < 0.06 * toneHz) state.sound.push(now());
  }, 50);
  const {element} = entry;
  const see = () => {
    const picture = peer.picture(userId);
    if (picture?.streamId === streamId) state.pictures.push(now());
    element.requestVideoFrameCallback(see);
  };
  element.requestVideoFrameCallback(see);
  return true;
};

window.report = async () => {
  let [pair, protocol] = [null, null];
  for (const connection of window.connections) {
    if (connection.connectionState === 'closed') continue;
    const stats = await connection.getStats();
    const transport = [...stats.values()].find((item) => item.type === 'transport');
    const selected = stats.get(transport?.selectedCandidatePairId);
    if (!selected) continue;
    const [local, remote] = [stats.get(selected.localCandidateId), stats.get(selected.remoteCandidateId)];
    pair = `${local?.candidateType}-${remote?.candidateType}`;
    protocol = local?.relayProtocol ?? local?.protocol;
  }
  return {...window.watching, pair, protocol, relayed: pair?.includes('relay') ?? null};
};
