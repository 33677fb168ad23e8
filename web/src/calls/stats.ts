// Figures of one connection, from the browser's own statistics (W3C webrtc-stats).
import type {Peer} from '../sdk';

export interface Flow {
  kbit: number;
  /** Percent of the packets of the last interval. */
  loss: number;
  width: number;
  height: number;
  fps: number;
  codecs: string[];
}

export interface Sample {
  received: Flow;
  sent: Flow;
  /** Milliseconds; NaN when unknown. */
  roundTrip: number;
  path: 'direct' | 'relayed' | undefined;
}

interface Counters {
  time: number;
  bytes: number;
  packets: number;
  lost: number;
}

type Entry = Record<string, any>;

export class PeerStats {
  /** Newest last. */
  readonly history: Sample[] = [];
  readonly #before: Record<'received' | 'sent', Counters | undefined> = {received: undefined, sent: undefined};

  constructor(readonly limit = 60) {}

  async take(peer: Peer): Promise<Sample | undefined> {
    const report = await peer.getStats().catch(() => undefined);
    if (!report) return undefined;
    const entries: Entry[] = [];
    report.forEach((entry: Entry) => entries.push(entry));
    const pair = selectedPair(entries, report);
    const inbound = entries.filter(({type}) => type === 'inbound-rtp');
    const outbound = entries.filter(({type}) => type === 'outbound-rtp');
    const answers = entries.filter(({type}) => type === 'remote-inbound-rtp');
    const local = report.get(pair?.localCandidateId) as Entry | undefined;
    const remote = report.get(pair?.remoteCandidateId) as Entry | undefined;
    const roundTrip = pair?.currentRoundTripTime ?? Math.max(...answers.map((entry) => entry.roundTripTime ?? NaN));
    const sample: Sample = {
      received: this.#flow('received', report, inbound, sum(inbound, 'bytesReceived'), sum(inbound, 'packetsReceived'), sum(inbound, 'packetsLost')),
      sent: this.#flow('sent', report, outbound, sum(outbound, 'bytesSent'), sum(outbound, 'packetsSent'), sum(answers, 'packetsLost')),
      roundTrip: Number.isFinite(roundTrip) ? roundTrip * 1000 : NaN,
      path: pair && [local, remote].some((end) => end?.candidateType === 'relay') ? 'relayed' : pair ? 'direct' : undefined,
    };
    this.history.push(sample);
    if (this.history.length > this.limit) this.history.shift();
    return sample;
  }

  #flow(way: 'received' | 'sent', report: RTCStatsReport, entries: Entry[], bytes: number, packets: number, lost: number): Flow {
    const time = performance.now();
    const before = this.#before[way] ?? {time, bytes, packets, lost};
    this.#before[way] = {time, bytes, packets, lost};
    const seconds = (time - before.time) / 1000;
    const missing = Math.max(0, lost - before.lost);
    const expected = way === 'received' ? packets - before.packets + missing : packets - before.packets;
    const video = entries.find(({kind}) => kind === 'video');
    return {
      kbit: seconds > 0 ? Math.max(0, (8 * (bytes - before.bytes)) / 1000 / seconds) : 0,
      loss: expected > 0 ? Math.min(100, (100 * missing) / expected) : 0,
      width: video?.frameWidth ?? 0,
      height: video?.frameHeight ?? 0,
      fps: video?.framesPerSecond ?? 0,
      codecs: entries.map(({codecId}) => String((report.get(codecId) as Entry | undefined)?.mimeType ?? '').split('/')[1] ?? '').filter(Boolean),
    };
  }
}

const sum = (entries: Entry[], name: string): number => entries.reduce((total, entry) => total + (entry[name] ?? 0), 0);

function selectedPair(entries: Entry[], report: RTCStatsReport): Entry | undefined {
  const transport = entries.find(({type}) => type === 'transport');
  return (report.get(transport?.selectedCandidatePairId) as Entry | undefined)
    ?? entries.find(({type, state, nominated}) => type === 'candidate-pair' && state === 'succeeded' && nominated);
}
