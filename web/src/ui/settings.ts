// Devices, quality and appearance: the same choices before, during and without a call.
import {Volume2, X} from 'lucide';
import type {Call} from '../calls/call';
import {canChooseSpeakers, chooseSpeakers, devices, toSpeakers, type Device, type DeviceKind} from '../media/devices';
import {audioContext} from '../media/level';
import type {LocalMedia} from '../media/local';
import {play} from '../media/tones';
import {applyTheme, prefer, preferences, type Theme} from '../preferences';
import {problemText, t} from '../texts';
import {dialog, h, iconButton} from './dom';
import {notice} from './notices';

export interface Subject {
  media?: LocalMedia | undefined;
  call?: Call | undefined;
}

export function openSettings(subject: Subject): void {
  const fields = deviceFields(subject);
  const box = dialog(t.devices.heading, 'settings', [
    h('header', {class: 'dialog-head'}, h('h2', {}, t.devices.heading), iconButton(X, t.close, () => box.close())),
    h('div', {class: 'stack'}, fields.element, bandwidthField(subject.call), themeField()),
  ], fields.close);
}

/** Selects for microphone, camera and speakers, which follow what is plugged in. */
export function deviceFields({media}: Subject): {element: HTMLElement; close(): void} {
  const element = h('div', {class: 'stack'});
  const draw = async () => {
    const [microphones, cameras, speakers] = await Promise.all(
      (['audioinput', 'videoinput', 'audiooutput'] as DeviceKind[]).map(devices),
    ) as [Device[], Device[], Device[]];
    const used = (kind: 'audio' | 'video') =>
      media?.stream.getTracks().find((track) => track.kind === kind)?.getSettings().deviceId;
    const rows = [select('microphone', t.devices.microphone, microphones, used('audio') || preferences.microphone, t.devices.none, (id) =>
      media ? media.useMicrophone(id) : prefer({microphone: id}))];
    if (!media || media.video) {
      const current = media?.cameraOn ? used('video') : '';
      rows.push(select('camera', t.devices.camera, cameras, current || preferences.camera, t.devices.none, (id) =>
        media ? media.useCamera(id) : prefer({camera: id})));
    }
    const choices = canChooseSpeakers ? speakers : [];
    const row = select('speakers', t.devices.speakers, choices, preferences.speakers, t.devices.byBrowser, (id) =>
      chooseSpeakers(id, document.querySelectorAll<HTMLMediaElement>('[data-remote]')));
    row.querySelector('select')!.after(iconButton(Volume2, t.devices.testSpeakers, testSpeakers));
    const focused = document.activeElement?.id;
    element.replaceChildren(...rows, row);
    if (focused && element.querySelector(`#${CSS.escape(focused)}`)) document.getElementById(focused)?.focus();
  };
  void draw();
  const redraw = () => void draw();
  const stop = media?.on('change', redraw);
  navigator.mediaDevices.addEventListener('devicechange', redraw);
  return {
    element,
    close() {
      stop?.();
      navigator.mediaDevices.removeEventListener('devicechange', redraw);
    },
  };
}

function select(name: string, label: string, choices: Device[], current: string, none: string, choose: (id: string) => unknown): HTMLElement {
  const id = `device-${name}`;
  const box = h('select', {id, disabled: !choices.length, onchange: () => {
    Promise.resolve(choose(box.value)).catch((error: unknown) => notice(problemText(error), 'warning'));
  }}, ...(choices.length ? choices : [{id: '', label: none}]).map((one) =>
    h('option', {value: one.id, selected: one.id === current}, one.label)));
  return h('div', {class: 'field'}, h('label', {for: id}, label), h('div', {class: 'with-button'}, box));
}

export function bandwidthField(call?: Call): HTMLElement {
  const box = h('select', {id: 'bandwidth', onchange: () => {
    prefer({bandwidth: Number(box.value)});
    void call?.setBandwidth(preferences.bandwidth);
  }}, ...Object.entries(t.devices.bandwidths).map(([kbit, label]) =>
    h('option', {value: kbit, selected: Number(kbit) === preferences.bandwidth}, label)));
  return h('div', {class: 'field'}, h('label', {for: 'bandwidth'}, t.devices.bandwidth), box);
}

function themeField(): HTMLElement {
  return h('fieldset', {class: 'segments labelled'}, h('legend', {}, t.devices.theme),
    ...(Object.entries(t.devices.themes) as [Theme, string][]).map(([theme, label]) => h('label', {},
      h('input', {type: 'radio', name: 'theme', checked: preferences.theme === theme, onchange: () => {
        prefer({theme});
        applyTheme();
      }}), h('span', {}, label))));
}

/** Through an element, because only elements have a choice of speakers everywhere. */
function testSpeakers(): void {
  const output = audioContext().createMediaStreamDestination();
  const element = new Audio();
  element.srcObject = output.stream;
  void toSpeakers(element).then(() => element.play()).catch(() => undefined);
  play('test', output);
  setTimeout(() => element.remove(), 2000);
}
