// Building elements. Text always goes in as text: names come from strangers.
import {createElement as iconElement, type IconNode} from 'lucide';
import {hueOf, initials} from '../calls/person';
import {displayName} from '../texts';

type Child = Node | string | false | null | undefined;
type Listeners = {[Name in keyof HTMLElementEventMap as `on${Name}`]?: (event: HTMLElementEventMap[Name]) => void};
type Properties = Listeners & Record<string, unknown>;

/** An element: properties that begin with `on` listen, the others are attributes. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag, properties: Properties = {}, ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value as EventListener);
    else set(element, name, value);
  }
  element.append(...children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set or remove an attribute; does nothing where nothing changes. */
export function set(element: Element, name: string, value: unknown): void {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value === true ? '' : value)) {
    element.setAttribute(name, value === true ? '' : String(value));
  }
}

export function write(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function icon(node: IconNode): SVGElement {
  const element = iconElement(node);
  element.setAttribute('aria-hidden', 'true');
  element.setAttribute('class', 'icon');
  return element;
}

export function iconButton(node: IconNode, label: string, onclick: () => void, kind = ''): HTMLButtonElement {
  return h('button', {type: 'button', class: `icon-button ${kind}`, 'aria-label': label, title: label, onclick}, icon(node));
}

/** Change what a button shows and says. */
export function relabel(button: HTMLButtonElement, node: IconNode, label: string): void {
  if (button.getAttribute('aria-label') === label) return;
  button.setAttribute('aria-label', label);
  button.title = label;
  button.replaceChildren(icon(node));
}

export function avatar(user: {id: number; full_name?: string | null; login?: string | null}): HTMLElement {
  const element = h('span', {class: 'avatar', 'aria-hidden': 'true'}, initials(displayName(user)));
  element.style.setProperty('--hue', String(hueOf(user.id)));
  return element;
}

/** A modal dialog that is removed when it closes. */
export function dialog(label: string, kind: string, content: Node[], onclose: () => void): HTMLDialogElement {
  const element = h('dialog', {class: `dialog ${kind}`, 'aria-label': label}, ...content);
  element.addEventListener('close', () => {
    element.remove();
    onclose();
  });
  document.body.append(element);
  element.showModal();
  return element;
}

export function closeDialogs(): void {
  for (const box of document.querySelectorAll('dialog')) box.close();
}

export interface Level {
  element: HTMLElement;
  show(level: number): void;
}

/** A small bar from 0 to 1. */
export function levelBar(label: string): Level {
  const fill = h('span', {class: 'level-fill'});
  const element = h('span', {class: 'level', role: 'meter', 'aria-label': label, 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': '0'}, fill);
  return {
    element,
    show(level) {
      fill.style.setProperty('transform', `scaleX(${level.toFixed(2)})`);
      set(element, 'aria-valuenow', Math.round(level * 100));
    },
  };
}
