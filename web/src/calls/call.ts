// One call: what the SDK's session does and does not do, turned into the state of each person.
import type {ChatLink} from '../chat';
import {Emitter} from '../emitter';
import type {LocalMedia} from '../media/local';
import {preferences} from '../preferences';
import {CallType, Connection, sdk, type Peer, type Session, type UserInfo} from '../sdk';
import type {User} from '../server';
import {Person, type PersonState, type Reason} from './person';
import {Recovery} from './recovery';

export type Phase = 'preparing' | 'ringing' | 'running' | 'ended';
export type EndReason = 'hung-up' | 'left' | 'answered-elsewhere' | 'declined-elsewhere' | 'missed' | 'cancelled';

const TICK_MS = 1000;
const SHARPEN_MS = 3000;
const LOOK_UP_MS = 4000;
const CONNECT_LIMIT_MS = 30_000;
const JOIN_LIMIT_MS = 75_000;

/** Custom messages outside the calling protocol: what a person's devices do, between pages, and
 * whether they record, from programs. Each says only what it knows. */
export interface MediaNote {
  call: string;
  mic?: 'on' | 'off';
  screen?: 'on' | 'off';
  recording?: 'on' | 'off';
}

export class Call extends Emitter<{change: void; person: Person; end: EndReason}> {
  readonly people: Map<number, Person>;
  phase: Phase = 'preparing';
  endReason: EndReason | undefined;
  media: LocalMedia | undefined;
  /** `performance.now()` of the first connection, 0 before. */
  connectedAt = 0;
  endedAt = 0;
  readonly #recovery: Recovery;
  readonly #undo: (() => void)[] = [];
  #timer = 0;
  #sharpened = false;
  #lookedUp = 0;

  constructor(
    public session: Session,
    readonly incoming: boolean,
    users: User[],
    readonly chat: ChatLink,
  ) {
    super();
    this.people = new Map(users.map((user) => [user.id, new Person(user)]));
    this.#recovery = new Recovery(this);
    this.#undo.push(chat.on('state', (state) => state === 'online' && this.#backOnline()));
  }

  get id(): string {
    return this.session.ID ?? '';
  }

  get video(): boolean {
    return this.session.callType === CallType.VIDEO;
  }

  get caller(): Person | undefined {
    return this.people.get(this.session.initiatorID);
  }

  get isGroup(): boolean {
    return this.people.size > 1;
  }

  peer(userId: number): Peer | undefined {
    return this.session.peerConnections[userId];
  }

  // ---- what the person does ---------------------------------------------------------------------

  /** Dial everybody. */
  start(media: LocalMedia): void {
    this.#use(media);
    this.phase = 'running';
    this.session.localStream = media.stream;
    this.session.call({maxBandwidth: preferences.bandwidth});
    this.#watch();
    void this.#lookUp();
  }

  ring(): void {
    this.phase = 'ringing';
    this.emit('change', undefined);
  }

  /** Take an incoming call; waits for the chat if it is away, since the answer must travel. */
  async accept(media: LocalMedia): Promise<void> {
    this.#use(media);
    this.phase = 'running';
    for (const person of this.people.values()) {
      this.set(person, person.id === this.session.initiatorID ? 'connecting' : 'ringing');
    }
    this.#watch();
    await this.chat.online();
    if (this.phase !== 'running') return;
    this.#repairPeers();
    this.session.localStream = media.stream;
    this.session.maxBandwidth = preferences.bandwidth || this.session.maxBandwidth;
    this.session.accept({});
    this.#answerStoredOffers();
  }

  decline(): void {
    this.#goodbye('declined', () => this.session.reject({}));
    this.end('hung-up');
  }

  hangUp(): void {
    this.#goodbye('left', () => this.session.stop({}));
    this.end('hung-up');
  }

  /** The page goes away: say so in a way that outlives it. */
  abandon(rejectByRest: (sessionId: string, recipients: number[], userInfo: object) => void): void {
    if (this.phase === 'ended') return;
    const ids = [...this.people.values()].filter(({gone}) => !gone).map(({id}) => id);
    if (this.phase === 'running') {
      this.session.stop({});
      rejectByRest(this.id, ids, {left: 'true'});
    }
    this.end('hung-up');
  }

  async setBandwidth(kbit: number): Promise<void> {
    this.session.maxBandwidth = kbit;
    await this.session.setMaxBandwidth(kbit);
  }

  // ---- what the SDK tells -----------------------------------------------------------------------

  accepted(userId: number): void {
    const person = this.people.get(userId);
    if (person && !person.gone && !person.wasConnected) this.set(person, 'connecting');
    this.#tellDevices();
  }

  rejected(userId: number, userInfo: UserInfo): void {
    const person = this.people.get(userId);
    if (!person || person.gone) return;
    const left = person.wasConnected || userInfo?.left === 'true';
    this.set(person, left ? 'left' : String(userInfo?.busy) === 'true' ? 'busy' : 'declined');
  }

  stopped(userId: number): void {
    const person = this.people.get(userId);
    if (this.phase === 'ringing') {
      if (userId === this.session.initiatorID) this.end('cancelled');
      return;
    }
    if (person && !person.gone) this.set(person, 'left');
    if (userId === this.session.initiatorID) this.end('left');
  }

  notAnswered(userId: number): void {
    const person = this.people.get(userId);
    if (!person || person.gone) return;
    // The SDK says nothing to whom it gives up: their devices would ring on.
    this.#signal(userId, 'hangUp');
    this.set(person, 'no-answer', person.state === 'calling' ? 'offline' : 'no-answer-here');
  }

  connection(userId: number, state: Connection): void {
    const person = this.people.get(userId);
    if (!person || person.gone || this.phase !== 'running') return;
    this.#recovery.connection(person, state);
    if (state === Connection.CONNECTED || state === Connection.COMPLETED) {
      this.connectedAt ||= performance.now();
      person.wasConnected = true;
      this.set(person, 'connected');
      // In a video call the SDK keeps silent about streams that have no picture.
      this.gotStream(userId, this.peer(userId)?.remoteStream);
      this.#tellDevices();
    } else if (state === Connection.CONNECTING && !person.wasConnected) {
      this.set(person, 'connecting');
    } else if (state === Connection.DISCONNECTED || state === Connection.FAILED) {
      this.set(person, person.wasConnected ? 'reconnecting' : 'connecting');
    }
  }

  gotStream(userId: number, stream: MediaStream | undefined): void {
    const person = this.people.get(userId);
    if (!person || !stream?.getTracks().length) return;
    person.stream = stream;
    this.emit('person', person);
  }

  /** All connections are gone. */
  closed(): void {
    if (this.phase === 'ringing') return this.end('missed');
    if (this.phase !== 'running') return;
    for (const person of this.people.values()) {
      if (!person.gone) this.set(person, person.wasConnected ? 'left' : 'no-answer');
    }
    this.end('left');
  }

  noted(userId: number, note: Partial<MediaNote>): void {
    const person = this.people.get(userId);
    if (!person) return;
    if (note.mic) person.muted = note.mic === 'off';
    if (note.screen) person.sharing = note.screen === 'on';
    if (note.recording) person.recording = note.recording === 'on';
    this.emit('person', person);
  }

  // ---- helpers ----------------------------------------------------------------------------------

  set(person: Person, state: PersonState, reason?: Reason): void {
    if (this.phase === 'ended' || (person.state === state && person.reason === reason)) return;
    person.state = state;
    person.reason = reason;
    person.since = performance.now();
    this.emit('person', person);
    this.emit('change', undefined);
    if (person.gone && [...this.people.values()].every(({gone}) => gone)) this.end('left');
  }

  /** Give somebody up. */
  drop(person: Person, reason: Reason): void {
    this.#signal(person.id, 'hangUp');
    this.peer(person.id)?.release();
    this.set(person, 'failed', reason);
    if (this.phase !== 'ended') this.session.closeSessionIfAllConnectionsClosed();
  }

  end(reason: EndReason): void {
    if (this.phase === 'ended') return;
    this.phase = 'ended';
    this.endReason = reason;
    this.endedAt = performance.now();
    clearInterval(this.#timer);
    this.#recovery.close();
    for (const undo of this.#undo) undo();
    // The SDK may still hold a session whose people are all gone.
    for (const peer of Object.values(this.session.peerConnections)) if (!peer.released) peer.release();
    this.media?.close();
    this.emit('change', undefined);
    this.emit('end', reason);
  }

  /** Leave the session of this call for another one, keeping devices and people (see center.ts). */
  moveTo(session: Session): void {
    const old = this.session;
    this.session = session;
    old.localStream = undefined;
    old.stop({});
  }

  #use(media: LocalMedia): void {
    if (this.media === media) return;
    this.media = media;
    this.#undo.push(
      media.on('track', (track) => this.#replace(track)),
      media.on('change', () => this.#tellDevices()),
    );
  }

  #replace(track: MediaStreamTrack): void {
    for (const peer of Object.values(this.session.peerConnections)) {
      const sender = peer.getSenders()?.find((one) => one.track?.kind === track.kind);
      void sender?.replaceTrack(track).catch(() => undefined);
    }
  }

  #watch(): void {
    clearInterval(this.#timer);
    this.#timer = window.setInterval(() => this.#tick(), TICK_MS);
    this.emit('change', undefined);
  }

  #tick(): void {
    const now = performance.now();
    for (const person of this.people.values()) {
      if (person.state === 'connecting' && now - person.since > CONNECT_LIMIT_MS) this.drop(person, 'no-path');
      const ice = this.peer(person.id)?.iceConnectionState;
      if (person.state === 'reconnecting' && (ice === 'connected' || ice === 'completed')) this.connection(person.id, Connection.CONNECTED);
      // Somebody else called them too, and the SDK's own timer may have been cleared.
      if (this.incoming && person.state === 'ringing' && now - person.since > JOIN_LIMIT_MS) this.notAnswered(person.id);
    }
    // In a group everybody encodes once per other person: there the small picture stays.
    if (!this.isGroup && this.connectedAt && !this.#sharpened && now - this.connectedAt > SHARPEN_MS) {
      this.#sharpened = true;
      void this.media?.sharpen();
    }
    if (now - this.#lookedUp > LOOK_UP_MS) void this.#lookUp();
    void this.#recovery.look();
    this.emit('change', undefined);
  }

  /** The protocol has no word for "it rings": it does where the person is online. */
  async #lookUp(): Promise<void> {
    this.#lookedUp = performance.now();
    if (this.incoming || this.chat.state !== 'online') return;
    for (const person of this.people.values()) {
      if (person.state !== 'calling') continue;
      void sdk.chat.getLastUserActivity(person.id).then(({seconds}) => {
        if (seconds === 0 && person.state === 'calling') this.set(person, 'ringing');
      }, () => undefined);
    }
  }

  /** Undo what the SDK gets wrong while it rings in a group call. */
  #repairPeers(): void {
    const {session} = this;
    for (const [id, peer] of Object.entries(session.peerConnections)) {
      if (Number(id) === session.initiatorID) {
        // Typed as offerer if somebody else's offer came first; then its answer would fail.
        peer.type = 'answer';
      } else if (Number(id) < session.currentUserID) {
        peer.release(); // about to be replaced, and would never be closed
      }
    }
  }

  /** People who joined before us have sent their offers; the SDK would wait for the next repeat. */
  #answerStoredOffers(): void {
    const {session} = this;
    for (const [key, peer] of Object.entries(session.peerConnections)) {
      const id = Number(key);
      if (id === session.initiatorID || id < session.currentUserID || !peer.remoteSDP) continue;
      sdk.videochat.onCallHandler(id, this.id, {...this.#base(), sdp: peer.remoteSDP, userInfo: {}});
    }
  }

  /** Signals were lost while the chat was away; only `call` is repeated by the SDK. */
  #backOnline(): void {
    if (this.phase !== 'running') return;
    const {session} = this;
    const peer = this.peer(session.initiatorID);
    const sdp = peer?.localDescription?.sdp;
    if (this.incoming && this.caller?.state === 'connecting' && peer?.signalingState === 'stable' && sdp) {
      session.signalingProvider.sendMessage(session.initiatorID, {...this.#base(), sdp}, 'accept' as never);
    }
    this.#tellDevices();
  }

  /** Say goodbye, and once more when the chat is back if it is away now. */
  #goodbye(how: 'left' | 'declined', say: () => void): void {
    const {session} = this;
    const ids = [...this.people.values()].filter(({gone}) => !gone).map(({id}) => id);
    const online = this.chat.state === 'online';
    say();
    if (online) return;
    const signal = how === 'left' ? 'hangUp' : 'reject';
    void this.chat.online().then(() => {
      for (const id of ids) session.signalingProvider.sendMessage(id, this.#base(), signal as never);
    });
  }

  #signal(userId: number, type: 'hangUp'): void {
    this.session.signalingProvider.sendMessage(userId, this.#base(), type as never);
  }

  #base() {
    const {ID, callType, initiatorID, opponentsIDs} = this.session;
    return {sessionID: ID ?? '', callType, callerID: initiatorID, opponentsIDs};
  }

  #tellDevices(): void {
    if (this.phase !== 'running' || !this.media || this.chat.state !== 'online') return;
    const note: MediaNote = {
      call: this.id, mic: this.media.micOn ? 'on' : 'off', screen: this.media.sharing ? 'on' : 'off',
    };
    for (const {id, state} of this.people.values()) {
      if (state === 'connected') sdk.chat.sendSystemMessage(id, {extension: {...note}});
    }
  }
}
