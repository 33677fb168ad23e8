// All calls of this page: at most one goes on, others are told that it is busy.
import type {ChatLink} from '../chat';
import {Emitter} from '../emitter';
import {CallType, sdk, type Session, type UserInfo} from '../sdk';
import type {Server, User} from '../server';
import {Call, type MediaNote} from './call';

const MAX_OTHERS = 3;
const RING_LIMIT_MS = 60_000;
const OFFER_CHECK_MS = 250;
/** A session is remembered past its end: to the SDK, a repeated `call` of a forgotten one is new. */
const MEMORY_MS = 180_000;

export class CallCenter extends Emitter<{incoming: Call; busy: User; glare: void}> {
  current: Call | undefined;
  /** A call from the person whom we dial at this moment, which we let rest. */
  #parked: Session | undefined;

  constructor(readonly server: Server, readonly chat: ChatLink) {
    super();
  }

  get ownId(): number {
    return this.server.account?.user.id ?? 0;
  }

  /** Attach to the SDK; after every `init` of it. */
  listen(): void {
    const {videochat, chat} = sdk;
    videochat.onCallListener = (session) => void this.#incoming(session);
    videochat.onAcceptCallListener = (session, userId) => this.#accepted(session, userId);
    videochat.onRejectCallListener = (session, userId, info) => this.#rejected(session, userId, info);
    videochat.onStopCallListener = (session, userId) => this.#stopped(session, userId);
    videochat.onInvalidEventsListener = () => undefined; // late or doubled goodbyes
    videochat.onUserNotAnswerListener = (session, userId) => this.#of(session)?.notAnswered(userId);
    videochat.onRemoteStreamListener = (session, userId, stream) => this.#of(session)?.gotStream(userId, stream);
    videochat.onSessionConnectionStateChangedListener = (session, userId, state) =>
      this.#of(session)?.connection(userId, state);
    videochat.onSessionCloseListener = (session) => this.#closed(session);
    chat.onSystemMessageListener = ({userId, extension}) => this.#noted(userId, extension);
  }

  /** A call to these people, not yet dialled. */
  create(users: User[], video: boolean): Call {
    const session = sdk.videochat.createNewSession(
      users.map(({id}) => id), video ? CallType.VIDEO : CallType.AUDIO,
    );
    return this.#adopt(new Call(session, false, users, this.chat));
  }

  #adopt(call: Call): Call {
    this.current = call;
    call.on('end', () => {
      if (this.current === call) this.current = undefined;
      const id = call.id;
      setTimeout(() => sdk.videochat.clearSession(id), MEMORY_MS);
    });
    return call;
  }

  #of(session: Session | undefined): Call | undefined {
    return session && this.current?.session === session ? this.current : undefined;
  }

  // ---- incoming ---------------------------------------------------------------------------------

  async #incoming(session: Session): Promise<void> {
    const {initiatorID, opponentsIDs} = session;
    const others = [...new Set([initiatorID, ...opponentsIDs])].filter((id) => id !== this.ownId);
    const sane = initiatorID > 0 && initiatorID !== this.ownId && opponentsIDs.includes(this.ownId)
      && others.length <= MAX_OTHERS && others.every((id) => Number.isSafeInteger(id) && id > 0);
    if (!sane) return; // dies silently by the SDK's timer
    if (!(await this.#offerFrom(session, initiatorID))) return;
    const rival = this.current;
    if (rival?.phase === 'running' && this.#dialsOnly(rival, initiatorID) && others.length === 1) {
      return this.#glare(session, rival);
    }
    if (rival) return this.#busy(session);
    const users = await this.#users(others);
    if (session.state !== 1 || !sdk.videochat.sessions[session.ID ?? '']) return;
    if (this.current) return this.#busy(session);
    const call = this.#adopt(new Call(session, true, users, this.chat));
    call.ring();
    this.emit('incoming', call);
  }

  /** The SDK tells of a call before it has stored the offer, so that an answer given at once would
   * go nowhere; and the first offer may be another member's, while only the caller makes it ring. */
  async #offerFrom(session: Session, callerId: number): Promise<boolean> {
    const limit = performance.now() + RING_LIMIT_MS;
    await Promise.resolve();
    while (!session.peerConnections[callerId]?.remoteSDP) {
      if (performance.now() > limit || session.state !== 1) return false;
      await new Promise((resolve) => setTimeout(resolve, OFFER_CHECK_MS));
    }
    return session.state === 1;
  }

  #busy(session: Session): void {
    session.reject({busy: 'true'});
    void this.#users([session.initiatorID]).then(([user]) => user && this.emit('busy', user));
  }

  /** Names come from the server, never from the caller. */
  async #users(ids: number[]): Promise<User[]> {
    return Promise.all(ids.map(async (id) =>
      (await this.server.byId(id).catch(() => null)) ?? {id, login: null, full_name: null}));
  }

  // ---- two people who call each other at the same time: the smaller id's session goes on ----------

  #dialsOnly(call: Call, userId: number): boolean {
    const person = call.people.get(userId);
    return !call.incoming && !call.isGroup && (person?.state === 'calling' || person?.state === 'ringing');
  }

  #glare(session: Session, rival: Call): void {
    if (session.initiatorID < this.ownId) this.#take(session, rival);
    else this.#parked = session;
  }

  #take(session: Session, call: Call): void {
    this.#parked = undefined;
    call.moveTo(session);
    if (call.media) void call.accept(call.media);
  }

  // ---- signals ------------------------------------------------------------------------------------

  #accepted(session: Session, userId: number): void {
    const call = this.#of(session);
    if (userId !== this.ownId) call?.accepted(userId);
    // A copy of what our other device sent. The session must not be stopped: it is their call now.
    else if (call?.phase === 'ringing') call.end('answered-elsewhere');
  }

  #rejected(session: Session, userId: number, userInfo: UserInfo): void {
    const call = this.#of(session);
    if (userId === this.ownId) {
      if (call?.phase === 'ringing') call.end('declined-elsewhere');
    } else if (call && this.#parked?.initiatorID === userId && this.#parked.state === 1) {
      this.#take(this.#parked, call); // their SDK knows no glare: it refused ours in favour of its own
    } else if (call?.phase === 'ringing') {
      if (userId !== session.initiatorID) call.rejected(userId, userInfo);
    } else call?.rejected(userId, userInfo);
  }

  #stopped(session: Session, userId: number): void {
    if (this.#parked === session) this.#parked = undefined;
    this.#of(session)?.stopped(userId);
  }

  #closed(session: Session): void {
    // On hang-up and reject the SDK closes first and says why afterwards.
    setTimeout(() => this.#of(session)?.closed());
  }

  #noted(userId: number, extension: unknown): void {
    const note = (extension ?? {}) as Partial<MediaNote>;
    if (this.current && note.call === this.current.id) this.current.noted(userId, note);
  }
}
