// Which screen is seen, and what leads from one to the next.
import {Bell} from './bell';
import type {Call} from './calls/call';
import {CallCenter} from './calls/center';
import {hueOf, initials} from './calls/person';
import {ChatLink} from './chat';
import type {Face, LocalMedia} from './media/local';
import {play} from './media/tones';
import type {Question} from './ringing';
import {sdk} from './sdk';
import {Server, type User} from './server';
import {displayName, Problem, problemText, t, type ProblemCode} from './texts';
import {CallScreen} from './ui/call-screen';
import {closeDialogs, h} from './ui/dom';
import {showEnd} from './ui/ended';
import {openIncoming, type Incoming} from './ui/incoming';
import {notice, setBanner} from './ui/notices';
import {PeopleScreen} from './ui/people';
import {openPreview} from './ui/preview';
import {signInScreen} from './ui/sign-in';

/** How long after an answer in a notification the call may take to ring here: callers repeat it. */
const EXPECTED_MS = 15_000;
/** A call that connects at once is drawn when it has: to draw takes as long, and both want the same thread. */
const HEAD_START_MS = 300;

export class App {
  readonly server = new Server();
  readonly #bell = new Bell(this.server, (question) => this.#asked(question));
  #chat: ChatLink | undefined;
  #center: CallCenter | undefined;
  #people: PeopleScreen | undefined;
  #callScreen: CallScreen | undefined;
  #incoming: Incoming | undefined;
  /** The call that was answered in a notification before it rang here. */
  #expected: {sessionId: string; accept: boolean} | undefined;
  #expired = false;

  constructor(readonly root: HTMLElement) {
    this.server.on('expired', () => void this.#onExpired());
    // Not `beforeunload`: it also fires where people stay. A page taken from the cache starts anew.
    window.addEventListener('pagehide', () => this.#leave());
    document.addEventListener('visibilitychange', () => {
      this.#tellSeen();
      if (!document.hidden) this.#people?.look();
    });
    window.addEventListener('pageshow', ({persisted}) => persisted && location.reload());
  }

  async start(): Promise<void> {
    try {
      await this.server.discover();
      if ((await this.#enterByNotification()) || (await this.server.resume())) await this.#entered();
      else this.#showSignIn(this.server.account ? 'expired' : null);
    } catch (error) {
      this.#showFailure(problemText(error));
    }
  }

  // ---- screens ------------------------------------------------------------------------------------

  #show(...screen: HTMLElement[]): void {
    this.root.replaceChildren(...screen);
    (this.root.querySelector<HTMLElement>('[autofocus], h1') ?? this.root).focus();
  }

  #showSignIn(problem: ProblemCode | null): void {
    this.#show(signInScreen(this.server, {callee: this.#callee(), problem}, () => void this.#entered()));
  }

  #showFailure(text: string): void {
    this.#show(h('main', {class: 'entrance'}, h('div', {class: 'card'},
      h('h1', {}, t.app), h('p', {class: 'problem', role: 'alert'}, text),
      h('button', {type: 'button', class: 'button primary', onclick: () => location.reload()}, t.retry))));
  }

  #showPeople(): void {
    this.#people?.close();
    this.#people = new PeopleScreen(this.server, {
      call: (users, video) => this.#prepare(users, video),
      bell: this.#bell,
      signOut: () => void this.#signOut(null),
    });
    this.#show(this.#people.element);
  }

  // ---- coming and going ---------------------------------------------------------------------------

  async #entered(): Promise<void> {
    this.#expired = false;
    const {user, token} = this.server.account!;
    const chat = (this.#chat = new ChatLink());
    const center = (this.#center = new CallCenter(this.server, chat));
    chat.on('state', () => {
      this.#drawLink();
      if (document.hidden) this.#tellSeen();
    });
    chat.on('refused', () => this.server.expire());
    center.listen();
    center.on('incoming', (call) => this.#ring(call));
    center.on('busy', (caller) => notice(t.ended.reasons.busy(displayName(caller)), 'warning'));
    await this.server.loadIceServers().catch((error: unknown) => notice(problemText(error), 'warning'));
    if (!this.server.account) return;
    this.#showPeople();
    void this.#bell.refresh();
    await chat.connect(user.id, token);
    this.#drawLink();
    await this.#followLink();
  }

  async #signOut(problem: ProblemCode | null): Promise<void> {
    setBanner(null);
    this.#people?.close();
    if (problem === null) await this.#bell.turnOff().catch(() => undefined);
    const chat = this.#chat;
    this.#chat = this.#center = this.#people = undefined;
    await chat?.disconnect();
    await this.server.signOut({revoke: problem === null});
    this.#showSignIn(problem);
  }

  /** A running call needs no session; it may end in peace. */
  async #onExpired(): Promise<void> {
    this.#expired = true;
    if (!this.#center?.current) await this.#signOut('expired');
  }

  #leave(): void {
    this.#center?.current?.abandon((...goodbye) => this.server.rejectByRest(...goodbye));
  }

  #drawLink(): void {
    const state = this.#chat?.state;
    setBanner(state === 'reconnecting' ? t.link.reconnecting : state === 'offline' ? t.link.offline : null);
  }

  // ---- calls --------------------------------------------------------------------------------------

  get #face(): Face {
    const {user} = this.server.account!;
    return {initials: initials(displayName(user)), hue: hueOf(user.id)};
  }

  #prepare(users: User[], video: boolean): void {
    const offline = this.server.online().then((online) =>
      users.filter(({id}) => !online.some((other) => other.id === id)));
    openPreview({users, offline, video, face: this.#face, start: (media) => this.#dial(users, video, media)});
  }

  #dial(users: User[], video: boolean, media: LocalMedia): void {
    const center = this.#center;
    // Somebody may have called while the preview was open.
    if (!center || center.current) return media.close();
    const call = center.create(users, video);
    call.start(media);
    this.#showCall(call);
  }

  #ring(call: Call): void {
    closeDialogs();
    call.on('end', () => {
      this.#incoming = undefined;
      void this.#bell.silence(call);
      this.#people?.look();
      if (this.#callScreen?.call !== call) showEnd(call, () => undefined);
    });
    this.#incoming = openIncoming(call, this.#face, (media) => {
      void this.#bell.silence(call);
      void call.accept(media);
      const show = () => {
        stop();
        clearTimeout(timer);
        if (call.phase === 'running') this.#showCall(call);
      };
      const stop = call.on('change', () => call.connectedAt && show());
      const timer = setTimeout(show, HEAD_START_MS);
    });
    const expected = this.#expected?.sessionId === call.id ? this.#expected : undefined;
    this.#expected = undefined;
    if (expected?.accept) this.#incoming.accept();
    else if (!expected) void this.#bell.ring(call);
  }

  #showCall(call: Call): void {
    closeDialogs();
    this.#people?.close();
    const screen = (this.#callScreen = new CallScreen(call, this.server.account!.user));
    const video = call.video;
    call.on('end', () => {
      closeDialogs();
      screen.close();
      this.#callScreen = undefined;
      play('ended');
      if (this.#expired) return void this.#signOut('expired');
      this.#showPeople();
      const users = [...call.people.values()].map(({user}) => user);
      showEnd(call, () => this.#prepare(users, video));
    });
    this.#show(screen.element);
  }

  // ---- notifications ------------------------------------------------------------------------------

  /** The service worker asks whether this page takes care of a call. */
  #asked({ask, ring}: Question): boolean {
    const userId = this.server.account?.user.id;
    if (!userId || (ring.userId && ring.userId !== userId)) return false;
    const ringing = this.#incoming?.call.id === ring.sessionId ? this.#incoming : undefined;
    if (ask === 'shown') return !document.hidden && this.#chat?.state === 'online';
    if (ask === 'decline') ringing?.call.decline();
    else if (ask === 'accept') ringing?.accept();
    if (!ringing && ask !== 'decline' && !this.#center?.current) this.#expect(ring.sessionId, ask === 'accept');
    return Boolean(ringing) || ask !== 'decline';
  }

  /** Phones freeze pages that are not seen, so that only a push reaches them. */
  #tellSeen(): void {
    if (!this.#bell.on || this.#chat?.state !== 'online') return;
    if (document.hidden) sdk.chat.markInactive();
    else sdk.chat.markActive();
  }

  #expect(sessionId: string, accept: boolean): void {
    const expected = (this.#expected = {sessionId, accept});
    setTimeout(() => {
      if (this.#expected !== expected) return;
      this.#expected = undefined;
      notice(t.incoming.over);
    }, EXPECTED_MS);
  }

  /** The worker opens `#answer=accept&session=…&ticket=…` where no page is open. */
  async #enterByNotification(): Promise<boolean> {
    const given = new URLSearchParams(location.hash.slice(1));
    const [session, ticket] = [given.get('session'), given.get('ticket')];
    if (!given.has('answer') || !session) return false;
    history.replaceState(null, '', location.pathname); // the ticket is for this moment
    if (!ticket) return false;
    try {
      await this.server.enterByTicket(session, ticket);
    } catch (error) {
      if (error instanceof Problem && error.code === 'cannot-reach') throw error;
      notice(t.incoming.over);
      return false;
    }
    this.#expect(session, given.get('answer') === 'accept');
    return true;
  }

  // ---- links that call somebody: /?call=LOGIN, with &audio for a call without video ---------------

  #callee(): string | null {
    const login = new URLSearchParams(location.search).get('call');
    return login && displayName({id: 0, login});
  }

  async #followLink(): Promise<void> {
    const query = new URLSearchParams(location.search);
    const login = query.get('call');
    if (!login) return;
    history.replaceState(null, '', location.pathname); // a reload must not call again
    try {
      const user = await this.server.byLogin(login);
      if (!user) notice(t.people.unknown(displayName({id: 0, login})), 'warning');
      else if (user.id === this.server.account?.user.id) notice(t.people.yourself, 'warning');
      else if (!this.#center?.current) this.#prepare([user], !query.has('audio'));
    } catch (error) {
      notice(problemText(error), 'warning');
    }
  }
}
