// The entrance: sign in, make an account, or come in as a guest.
import {Eye, EyeOff} from 'lucide';
import type {Server} from '../server';
import {problemText, t, type ProblemCode} from '../texts';
import {h, icon, relabel, write} from './dom';
import {logo} from './logo';

type Mode = 'signIn' | 'signUp' | 'guest';
type Field = 'fullName' | 'login' | 'password';

const FIELDS: Record<Mode, Field[]> = {
  signIn: ['login', 'password'],
  signUp: ['fullName', 'login', 'password'],
  guest: ['fullName'],
};
const LIMITS: Record<Field, [least: number, most: number]> = {fullName: [1, 255], login: [3, 255], password: [1, 1024]};

export function signInScreen(server: Server, options: {callee: string | null; problem: ProblemCode | null}, entered: () => void): HTMLElement {
  let mode: Mode = options.callee ? 'guest' : 'signIn';
  const problem = h('p', {class: 'problem', role: 'alert'}, options.problem ? t.problems[options.problem] : '');
  const submit = h('button', {class: 'button primary wide'});
  const fields = makeFields();
  const hint = h('p', {class: 'hint'}, t.signIn.guestHint);
  const modes = h('fieldset', {class: 'segments'}, h('legend', {class: 'visually-hidden'}, t.signIn.modes),
    ...(Object.keys(FIELDS) as Mode[]).map((one) => h('label', {},
      h('input', {type: 'radio', name: 'mode', value: one, checked: one === mode, onchange: () => show(one)}),
      h('span', {}, t.signIn[one]))));

  function show(next: Mode): void {
    mode = next;
    for (const [name, {row, label, input, error}] of Object.entries(fields)) {
      row.hidden = !FIELDS[mode].includes(name as Field);
      write(error, '');
      input.removeAttribute('aria-invalid');
      if (name === 'login') write(label, mode === 'signIn' ? t.signIn.loginOrEmail : t.signIn.login);
      if (name === 'password') input.autocomplete = mode === 'signUp' ? 'new-password' : 'current-password';
    }
    hint.hidden = mode !== 'guest';
    write(submit, t.signIn.submit[mode]);
  }

  function complaintOf(name: Field, value: string): string {
    const [least, most] = LIMITS[name];
    const length = [...value].length;
    if (!length) return t.signIn.required[name];
    if (length < least) return t.signIn.tooShort;
    return length > (name === 'login' && mode === 'signUp' ? 70 : most) ? t.signIn.tooLong : '';
  }

  function valid(): boolean {
    let first: HTMLInputElement | undefined;
    for (const name of FIELDS[mode]) {
      const {input, error} = fields[name];
      const text = complaintOf(name, name === 'password' ? input.value : input.value.trim());
      write(error, text);
      if (text) {
        input.setAttribute('aria-invalid', 'true');
        first ??= input;
      } else input.removeAttribute('aria-invalid');
    }
    first?.focus();
    return !first;
  }

  async function enter(): Promise<void> {
    const [fullName, login] = [fields.fullName.input.value.trim(), fields.login.input.value.trim()];
    const password = fields.password.input.value;
    if (mode === 'signIn') await server.signIn(login, password);
    else if (mode === 'signUp') await server.signUp(fullName, login, password);
    else await server.enterAsGuest(fullName);
  }

  async function onsubmit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    write(problem, '');
    if (submit.disabled || !valid()) return;
    submit.disabled = true;
    write(submit, t.signIn.busy);
    try {
      await enter();
      entered();
    } catch (error) {
      write(problem, problemText(error));
    } finally {
      submit.disabled = false;
      write(submit, t.signIn.submit[mode]);
    }
  }

  const form = h('form', {class: 'stack', novalidate: true, onsubmit},
    ...Object.values(fields).map(({row}) => row), hint, problem, submit);
  show(mode);
  return h('main', {class: 'entrance'},
    h('div', {class: 'card'},
      h('header', {class: 'brand'}, logo(), h('h1', {}, t.app)),
      h('p', {class: 'tagline'}, options.callee ? t.signIn.toCall(options.callee) : t.tagline),
      modes, form));
}

function makeFields() {
  const make = (name: Field, attributes: Record<string, string>) => {
    const error = h('p', {class: 'field-error', id: `${name}-error`});
    const input = h('input', {id: name, name, 'aria-describedby': error.id, ...attributes});
    const label = h('label', {for: name}, t.signIn[name]);
    return {input, error, label, row: h('div', {class: 'field'}, label, name === 'password' ? withToggle(input) : input, error)};
  };
  return {
    fullName: make('fullName', {autocomplete: 'name'}),
    login: make('login', {autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false'}),
    password: make('password', {type: 'password', autocomplete: 'current-password'}),
  };
}

function withToggle(input: HTMLInputElement): HTMLElement {
  const button = h('button', {type: 'button', class: 'icon-button small', 'aria-label': t.signIn.showPassword, title: t.signIn.showPassword, onclick: () => {
    const hidden = input.type === 'text';
    input.type = hidden ? 'password' : 'text';
    relabel(button, hidden ? Eye : EyeOff, hidden ? t.signIn.showPassword : t.signIn.hidePassword);
  }}, icon(Eye));
  return h('div', {class: 'with-button'}, input, button);
}
