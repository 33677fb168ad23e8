// The server's REST side: where things are, who is signed in, who else is there.
import {Emitter} from './emitter';
import {recall, remember} from './preferences';
import {sdk} from './sdk';
import {Problem} from './texts';

export interface User {
  id: number;
  login: string | null;
  full_name: string | null;
  is_guest?: boolean;
}

/** `at` in milliseconds since 1970. */
export interface MissedCall {
  id: number;
  caller: User;
  video: boolean;
  at: number;
}

interface Account {
  token: string;
  user: User;
}

interface Places {
  applicationId: number;
  authKey: string;
  apiUrl: string;
  chatDomain: string;
  chatUrl: string;
}

/** Seconds. `disconnectTimeInterval` must never strike: recovery.ts decides when a person is lost. */
const CALL_TIMES = {answerTimeInterval: 60, dialingTimeInterval: 4, disconnectTimeInterval: 86_400};
const RECONNECT_SECONDS = 1;
const LONGEST_LOGIN = 70;
const MISSED_SHOWN = 5;

export class Server extends Emitter<{expired: void}> {
  account: Account | null = null;
  /** `applicationServerKey` for pushes; null where the server has none. */
  webPushKey: string | null = null;
  #places!: Places;
  #iceTimer = 0;

  /** Ask the server where its parts are. The page may be reached by another address than the
   * published one, so only paths are taken from the answer. */
  async discover(): Promise<void> {
    const base = new URL('.', location.href);
    const found = await answerOf(fetch(new URL('.well-known/ringmesh.json', base)));
    if (!found.application_id || !found.auth_key) throw new Problem('not-published');
    const [api, chat] = [new URL(found.api_url), new URL(found.chat_url)];
    const chatUrl = new URL(chat.pathname.slice(api.pathname.replace(/\/$/, '').length + 1), base);
    chatUrl.protocol = base.protocol === 'https:' ? 'wss:' : 'ws:';
    this.webPushKey = found.web_push_key ?? null;
    this.#places = {
      applicationId: found.application_id,
      authKey: found.auth_key,
      apiUrl: base.href.replace(/\/$/, ''),
      chatDomain: found.chat_domain,
      chatUrl: chatUrl.href,
    };
  }

  async signIn(login: string, password: string): Promise<void> {
    const name = login.includes('@') ? {email: login} : {login};
    await this.#enter(() => sdk.auth.login({...name, password} as Parameters<typeof sdk.auth.login>[0]));
  }

  async signUp(fullName: string, login: string, password: string): Promise<void> {
    await this.#enter(async () => {
      await sdk.users.signup({login, password, full_name: fullName} as Parameters<typeof sdk.users.signup>[0]);
      return sdk.auth.login({login, password});
    });
  }

  async enterAsGuest(fullName: string): Promise<void> {
    this.#init();
    const session = await told(sdk.createSession({guest: '1', full_name: fullName} as object));
    this.#adopt({token: session.token, user: (session as unknown as {user: User}).user});
  }

  /** Enter as the person whom a push has called, for that call. */
  async enterByTicket(sessionId: string, ticket: string): Promise<void> {
    this.#init();
    const {session} = await answerOf(fetch(`${this.#places.apiUrl}/calls/ticket/session`, {
      method: 'POST',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify({session_id: sessionId, ticket}),
    }));
    this.#adopt(session);
  }

  /** Go on as whoever this tab was before it was reloaded; false if nobody. */
  async resume(): Promise<boolean> {
    const {token, user} = recall<Account>('sessionStorage');
    if (!token || !user?.id) return false;
    this.#init();
    this.#adopt({token, user});
    try {
      await this.#get('session');
      return true;
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'expired') throw error;
      return false;
    }
  }

  /** Forget the account here; with `revoke` on the server too. */
  async signOut({revoke = true} = {}): Promise<void> {
    clearTimeout(this.#iceTimer);
    remember('sessionStorage', null);
    this.account = null;
    if (revoke) await sdk.destroySession().catch(() => undefined);
  }

  async online(): Promise<User[]> {
    return (await this.#get('users/online')).users;
  }

  /** People whose name or login begins like this. */
  async search(text: string): Promise<User[]> {
    const found = await Promise.all(
      ['login', 'full_name'].map(async (field) => {
        const query = new URLSearchParams({[`${field}[start_with]`]: text});
        return (await this.#get(`users/v2?${query}`)).items as User[];
      }),
    );
    return [...new Map(found.flat().map((user) => [user.id, user])).values()];
  }

  async byLogin(login: string): Promise<User | null> {
    if (!login || [...login].length > LONGEST_LOGIN) return null;
    return this.#one(`users/by_login?${new URLSearchParams({login})}`);
  }

  async byId(id: number): Promise<User | null> {
    return this.#one(`users/${id}`);
  }

  /** The newest ones after the one with this id. */
  async missedCalls(after: number): Promise<MissedCall[]> {
    const found: {id: number; caller_id: number; call_type: number; called_at: string}[] =
      (await this.#get(`calls?limit=${MISSED_SHOWN}`)).items.filter(({id}: {id: number}) => id > after);
    const ids = [...new Set(found.map(({caller_id}) => caller_id))];
    const callers = new Map(await Promise.all(ids.map(async (id) => [id, await this.byId(id)] as const)));
    return found.map(({id, caller_id, call_type, called_at}) => ({
      id, caller: callers.get(caller_id) ?? {id: caller_id, login: null, full_name: null},
      video: call_type === 1, at: Date.parse(called_at),
    }));
  }

  /** Decline or leave a call without the chat, in a request that outlives the page. */
  rejectByRest(sessionId: string, recipients: number[], userInfo: object): void {
    if (!this.account || !recipients.length) return;
    void fetch(`${this.#places.apiUrl}/calls/reject`, {
      method: 'POST',
      keepalive: true,
      headers: {'CB-Token': this.account.token, 'Content-Type': 'application/json'},
      body: JSON.stringify({sessionID: sessionId, recipientId: recipients, platform: 'web', userInfo}),
    }).catch(() => undefined);
  }

  #init(iceServers: RTCIceServer[] = []): void {
    const {applicationId, authKey, apiUrl, chatDomain, chatUrl} = this.#places;
    sdk.init({appId: applicationId, authKey}, {
      debug: false as never, // with an object, whatever is in it, the SDK logs session descriptions
      endpoints: {api: location.host, api_url: apiUrl, chat: chatDomain, chat_url: chatUrl} as never,
      chat: {reconnect: {enable: true, timeInterval: RECONNECT_SECONDS}} as never,
      videochat: {...CALL_TIMES, iceServers} as never,
    });
    if (this.account) sdk.setSession({token: this.account.token, user_id: this.account.user.id});
  }

  /** Take a session of the application, then make it a user's: unlike a session that begins with
   * credentials, this never creates an account from a mistyped name. */
  async #enter(login: () => Promise<unknown>): Promise<void> {
    this.#init();
    const {token} = await told(sdk.createSession());
    this.#adopt({token, user: (await told(login())) as User});
  }

  #adopt({token, user}: Account): void {
    const {id, login, full_name, is_guest} = user;
    this.account = {token, user: {id, login, full_name, is_guest}};
    remember('sessionStorage', this.account);
    sdk.setSession({token, user_id: id});
  }

  /** Give the SDK our ICE servers, and again before the credentials expire. */
  async loadIceServers(): Promise<void> {
    const {ice_servers, ttl} = await this.#get('ice_servers');
    (sdk.service.sdkInstance.config as unknown as {videochat: {iceServers: RTCIceServer[]}}).videochat.iceServers = ice_servers;
    clearTimeout(this.#iceTimer);
    const again = Math.min(Math.max(ttl / 2, 30), 86_400) * 1000;
    this.#iceTimer = window.setTimeout(() => void this.loadIceServers().catch(() => undefined), again);
  }

  async #one(path: string): Promise<User | null> {
    try {
      return (await this.#get(path)).user;
    } catch (error) {
      if (error instanceof Problem && error.code === 'invalid') return null;
      throw error;
    }
  }

  async #get(path: string): Promise<any> {
    const token = this.account?.token ?? '';
    try {
      return await answerOf(fetch(`${this.#places.apiUrl}/${path}`, {headers: {'CB-Token': token}}));
    } catch (error) {
      if (error instanceof Problem && error.code === 'wrong-credentials') {
        this.expire();
        throw new Problem('expired');
      }
      throw error;
    }
  }

  /** The token is no longer good. */
  expire(): void {
    if (this.account) this.emit('expired', undefined);
  }
}

/** The JSON of an answer, or what is wrong with it. */
async function answerOf(request: Promise<Response>): Promise<any> {
  const response = await request.catch(() => {
    throw new Problem('cannot-reach');
  });
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) throw problemOf(response.status, body);
  return body;
}

/** The result of an SDK call, its failures as a `Problem`. */
async function told<Result>(call: Promise<Result>): Promise<Result> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof Problem) throw error;
    const {code, info} = error as {code?: number; info?: unknown};
    throw code ? problemOf(code, info) : new Problem('cannot-reach');
  }
}

function problemOf(status: number, body: unknown): Problem {
  const errors = Object.entries((body as {errors?: Record<string, string[]>} | null)?.errors ?? {});
  if (status === 401) return new Problem('wrong-credentials');
  if (status === 403) return new Problem('not-allowed');
  if (status === 429) return new Problem('too-many-attempts');
  if (status >= 500 || status < 400) return new Problem('server-error');
  if (errors.some(([field, texts]) => field === 'login' && texts.join().includes('taken'))) return new Problem('login-taken');
  return new Problem('invalid', errors.map(([field, texts]) => `${field === 'base' ? '' : field} ${texts.join(', ')}`.trim()).join('; '));
}
