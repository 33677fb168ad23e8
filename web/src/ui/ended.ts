// What became of a call.
import {Phone} from 'lucide';
import type {Call} from '../calls/call';
import {clock, t} from '../texts';
import {avatar, dialog, h, icon} from './dom';
import {notice} from './notices';

/** A dialog after calls that one took part in, a message after those one did not. */
export function showEnd(call: Call, again: () => void): void {
  const reason = call.endReason!;
  const name = call.caller?.name ?? '';
  if (reason === 'missed' || reason === 'cancelled') return notice(t.ended.reasons[reason](name), 'warning');
  if (reason === 'answered-elsewhere' || reason === 'declined-elsewhere') return notice(t.ended.reasons[reason]);
  const lasted = call.connectedAt ? t.ended.lasted(clock((call.endedAt - call.connectedAt) / 1000)) : '';
  if (reason === 'hung-up') {
    if (lasted) notice(`${t.ended.reasons['hung-up']} ${lasted}`);
    return;
  }
  const people = [...call.people.values()];
  const back = h('button', {type: 'button', class: 'button', onclick: () => box.close()}, t.ended.back);
  const box = dialog(t.ended.heading, 'ended', [
    h('h2', {}, t.ended.heading),
    lasted ? h('p', {class: 'hint'}, lasted) : h('span'),
    h('ul', {class: 'outcomes'}, ...people.map((person) => h('li', {'data-user': person.id, 'data-state': person.state}, avatar(person.user),
      h('span', {class: 'row-text'}, h('span', {class: 'row-name'}, person.name),
        h('span', {class: 'row-detail'}, [t.call.states[person.state], person.reason ? t.call.reasons[person.reason] : ''].filter(Boolean).join(': ')))))),
    h('footer', {class: 'dialog-foot'}, back,
      h('button', {type: 'button', class: 'button primary', onclick: () => {
        box.close();
        again();
      }}, icon(Phone), t.ended.again)),
  ], () => undefined);
  back.focus();
}
