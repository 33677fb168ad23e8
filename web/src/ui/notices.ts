// Short messages: seen for a while in a corner, read out by screen readers, never in the way.
import {X} from 'lucide';
import type {ProblemCode} from '../texts';
import {t} from '../texts';
import {h, icon, write} from './dom';

const SHOWN_MS = 8_000;

const stack = h('div', {class: 'notices', popover: 'manual', role: 'region', 'aria-label': 'Messages', 'aria-live': 'polite'});
const spoken = h('div', {class: 'visually-hidden', role: 'status', 'aria-live': 'polite'});
const banner = h('div', {class: 'banner', role: 'status', hidden: true});

export function mountNotices(): void {
  document.body.append(banner, stack, spoken);
}

export function notice(text: string, kind: 'info' | 'warning' = 'info'): void {
  for (const old of stack.children) if ((old as HTMLElement).dataset.text === text) old.remove();
  const close = h('button', {type: 'button', class: 'icon-button small', 'aria-label': t.close, onclick: () => dismiss(item)}, icon(X));
  const item = h('div', {class: `notice ${kind}`, 'data-text': text}, h('span', {}, text), close);
  stack.append(item);
  // The top layer: messages must be readable over a modal dialog, whichever was opened first.
  if (stack.matches(':popover-open')) stack.hidePopover();
  stack.showPopover();
  setTimeout(() => dismiss(item), SHOWN_MS);
}

function dismiss(item: HTMLElement): void {
  item.remove();
  if (!stack.children.length && stack.matches(':popover-open')) stack.hidePopover();
}

export const warn = (code: ProblemCode): void => notice(t.problems[code], 'warning');

/** Say something to those who do not see it. */
export const announce = (text: string): void => write(spoken, text);

/** A lasting state, such as no connection; null ends it. */
export function setBanner(text: string | null): void {
  banner.hidden = text === null;
  write(banner, text ?? '');
}
