// Calls that nobody took, above the people who are there.
import {Phone, Video, X} from 'lucide';
import {prefer, preferences} from '../preferences';
import type {MissedCall, Server, User} from '../server';
import {displayName, t} from '../texts';
import {avatar, h, iconButton} from './dom';

const when = new Intl.DateTimeFormat(t.language, {dateStyle: 'medium', timeStyle: 'short'});

export class MissedCalls {
  readonly element = h('section', {class: 'missed', hidden: true});
  #drawn = '';

  constructor(readonly server: Server, readonly call: (users: User[], video: boolean) => void) {
    void this.refresh();
  }

  async refresh(): Promise<void> {
    const calls = await this.server.missedCalls(preferences.missedSeen).catch(() => null);
    const drawn = JSON.stringify(calls);
    if (!calls || drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.element.hidden = !calls.length;
    this.element.replaceChildren(
      h('div', {class: 'missed-head'}, h('h2', {class: 'section-title'}, t.missed.heading),
        iconButton(X, t.missed.clear, () => this.#clear(calls), 'small')),
      h('ul', {class: 'rows'}, ...calls.map((call) => this.#row(call))));
  }

  #row({caller, video, at}: MissedCall): HTMLElement {
    const name = displayName(caller);
    return h('li', {class: 'missed-row'}, avatar(caller),
      h('span', {class: 'row-text'}, h('span', {class: 'row-name'}, name),
        h('span', {class: 'row-detail'}, t.missed.detail(video ? t.incoming.kind.video : t.incoming.kind.audio, when.format(at)))),
      iconButton(video ? Video : Phone, t.missed.back(name), () => this.call([caller], video)));
  }

  #clear(calls: MissedCall[]): void {
    prefer({missedSeen: Math.max(...calls.map(({id}) => id))});
    this.element.hidden = true;
    this.#drawn = '';
  }
}
