// Who is there, and whom to call.
import {Bell as BellIcon, BellRing, Link, LogOut, Phone, Search, Settings, Video, X} from 'lucide';
import type {Bell} from '../bell';
import type {Server, User} from '../server';
import {displayName, problemText, t} from '../texts';
import {avatar, h, icon, iconButton, relabel, set, write} from './dom';
import {logo} from './logo';
import {MissedCalls} from './missed';
import {announce, notice} from './notices';
import {openSettings} from './settings';

const REFRESH_MS = 3_000;
const WRITTEN_MS = 1_000;
const SEARCH_DELAY_MS = 300;
const SEARCH_LEAST = 4;
const MOST = 3;

export interface PeopleActions {
  call(users: User[], video: boolean): void;
  bell: Bell;
  signOut(): void;
}

export class PeopleScreen {
  readonly element: HTMLElement;
  readonly #chosen = new Map<number, User>();
  readonly #list = h('div', {class: 'people-list'});
  readonly #bar = h('div', {class: 'action-bar'});
  readonly #count = h('span', {class: 'count', role: 'status'});
  readonly #search: HTMLInputElement;
  readonly #missed: MissedCalls;
  #online: User[] | undefined;
  #found: User[] = [];
  #drawn = '';
  #timer = 0;
  #searchTimer = 0;

  constructor(readonly server: Server, readonly actions: PeopleActions) {
    this.#search = h('input', {
      type: 'search', id: 'search', placeholder: t.people.searchHint, 'aria-label': t.people.search,
      autocomplete: 'off', spellcheck: 'false', maxlength: '255', oninput: () => this.#searchSoon(),
    });
    this.#missed = new MissedCalls(server, (users, video) => actions.call(users, video));
    this.element = h('div', {class: 'people'},
      this.#header(),
      h('main', {class: 'people-main'},
        h('div', {class: 'people-head'}, h('h1', {}, t.people.heading), this.#count),
        h('div', {class: 'search'}, icon(Search), this.#search),
        this.#missed.element, this.#list),
      this.#bar);
    this.#drawBar();
    void this.#refresh();
    this.#timer = window.setInterval(() => void this.#refresh(), REFRESH_MS);
  }

  /** A call has ended, or rang elsewhere: soon the server will have written down whether it was missed. */
  look(): void {
    setTimeout(() => void this.#missed.refresh(), WRITTEN_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#searchTimer);
  }

  #header(): HTMLElement {
    const me = this.server.account!.user;
    return h('header', {class: 'top-bar'},
      logo(), h('span', {class: 'wordmark'}, t.app),
      h('span', {class: 'me', title: t.people.signedInAs(displayName(me))},
        avatar(me), h('span', {class: 'me-name'}, h('span', {class: 'visually-hidden'}, `${t.people.signedInAs('')} `), displayName(me))),
      this.actions.bell.available && this.#bellButton(),
      iconButton(Link, t.people.copyLink, () => void this.#copyLink()),
      iconButton(Settings, t.people.settings, () => openSettings({})),
      iconButton(LogOut, t.people.signOut, this.actions.signOut));
  }

  #bellButton(): HTMLElement {
    const {bell} = this.actions;
    const button = iconButton(BellIcon, t.bell.on, () => {
      button.disabled = true;
      void toggle().finally(() => {
        button.disabled = false;
        draw();
      });
    });
    const toggle = async () => {
      const problem = bell.on ? await bell.turnOff() : await bell.turnOn();
      if (problem) notice(t.bell[problem], 'warning');
      else notice(bell.on ? t.bell.isOn : t.bell.isOff);
    };
    const draw = () => relabel(button, bell.on ? BellRing : BellIcon, bell.on ? t.bell.off : t.bell.on);
    draw();
    return button;
  }

  async #copyLink(): Promise<void> {
    const link = new URL('.', location.href);
    link.searchParams.set('call', this.server.account!.user.login ?? '');
    try {
      await navigator.clipboard.writeText(link.href);
      notice(t.people.linkCopied);
    } catch {
      notice(t.people.linkIs(link.href));
    }
  }

  // ---- data -------------------------------------------------------------------------------------

  async #refresh(): Promise<void> {
    if (document.hidden && this.#online) return;
    try {
      this.#online = (await this.server.online()).filter(({id}) => id !== this.server.account?.user.id);
      this.#draw();
    } catch {
      this.#list.replaceChildren(h('p', {class: 'empty'}, t.people.loadFailed));
      this.#drawn = '';
    }
  }

  #searchSoon(): void {
    clearTimeout(this.#searchTimer);
    this.#draw();
    this.#searchTimer = window.setTimeout(() => void this.#searchNow(), SEARCH_DELAY_MS);
  }

  async #searchNow(): Promise<void> {
    const text = this.#search.value.trim();
    try {
      const found = text.length < SEARCH_LEAST ? [await this.server.byLogin(text)] : await this.server.search(text);
      if (this.#search.value.trim() !== text) return;
      this.#found = text ? found.filter((user): user is User => user !== null && user.id !== this.server.account?.user.id) : [];
      this.#draw();
    } catch (error) {
      notice(problemText(error), 'warning');
    }
  }

  // ---- drawing ----------------------------------------------------------------------------------

  #draw(): void {
    if (!this.#online) return;
    const text = this.#search.value.trim().toLowerCase();
    const fits = (user: User) => `${user.full_name ?? ''}\n${user.login ?? ''}`.toLowerCase().includes(text);
    const online = this.#online.filter(fits);
    const ids = new Set(this.#online.map(({id}) => id));
    const others = text ? this.#found.filter((user) => !ids.has(user.id) && fits(user)) : [];
    write(this.#count, t.people.onlineCount(this.#online.length));
    const drawn = JSON.stringify([online, others, text, [...this.#chosen.keys()]]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const focused = (document.activeElement as HTMLElement | null)?.id;
    this.#list.replaceChildren(...this.#sections(online, others, text));
    if (focused?.startsWith('person-')) document.getElementById(focused)?.focus();
  }

  #sections(online: User[], others: User[], text: string): Node[] {
    if (!online.length && !others.length) return [text ? h('p', {class: 'empty', role: 'status'}, t.people.nobodyFound(text)) : this.#alone()];
    return [
      ...(online.length ? [this.#section(t.people.online, online, true)] : []),
      ...(others.length ? [this.#section(t.people.others, others, false)] : []),
    ];
  }

  #alone(): HTMLElement {
    return h('div', {class: 'empty'},
      h('div', {class: 'empty-rings', 'aria-hidden': 'true'}, logo()),
      h('h2', {}, t.people.aloneHeading), h('p', {}, t.people.alone),
      h('button', {type: 'button', class: 'button', onclick: () => void this.#copyLink()}, icon(Link), t.people.copyLink));
  }

  #section(heading: string, users: User[], online: boolean): HTMLElement {
    return h('section', {}, h('h2', {class: 'section-title'}, heading),
      h('ul', {class: 'rows'}, ...users.map((user) => this.#row(user, online))));
  }

  #row(user: User, online: boolean): HTMLElement {
    const box = h('input', {
      type: 'checkbox', id: `person-${user.id}`, checked: this.#chosen.has(user.id),
      onchange: () => this.#choose(user, box),
    });
    const detail = user.is_guest ? t.people.guest : user.full_name && user.login ? user.login : '';
    return h('li', {}, h('label', {class: 'row'}, box,
      h('span', {class: 'avatar-box'}, avatar(user), h('span', {class: online ? 'dot on' : 'dot'})),
      h('span', {class: 'row-text'}, h('span', {class: 'row-name'}, displayName(user)),
        detail && h('span', {class: 'row-detail'}, displayName({id: user.id, login: detail})),
        h('span', {class: 'visually-hidden'}, online ? t.people.isOnline : t.people.isOffline)),
      h('span', {class: 'tick', 'aria-hidden': 'true'})));
  }

  #choose(user: User, box: HTMLInputElement): void {
    if (!box.checked) this.#chosen.delete(user.id);
    else if (this.#chosen.size < MOST) this.#chosen.set(user.id, user);
    else {
      box.checked = false;
      notice(t.people.limit);
      return;
    }
    this.#drawBar();
    this.#draw();
  }

  #drawBar(): void {
    const users = [...this.#chosen.values()];
    const ready = users.length > 0;
    const chips = users.map((user) => h('span', {class: 'chip'}, avatar(user), h('span', {}, displayName(user)),
      iconButton(X, t.people.remove(displayName(user)), () => {
        this.#chosen.delete(user.id);
        this.#drawBar();
        this.#draw();
      }, 'small')));
    const call = (video: boolean) => () => ready && this.actions.call(users, video);
    this.#bar.replaceChildren(
      ready ? h('div', {class: 'chips'}, ...chips) : h('p', {class: 'hint'}, t.people.choose),
      h('div', {class: 'action-buttons'},
        h('button', {type: 'button', class: 'button', disabled: !ready, onclick: call(false)}, icon(Phone), t.people.audioCall),
        h('button', {type: 'button', class: 'button primary', disabled: !ready, onclick: call(true)}, icon(Video), t.people.videoCall)));
    set(this.#bar, 'data-ready', ready);
    if (ready) announce(t.people.chosen(users.map(displayName)));
  }
}
