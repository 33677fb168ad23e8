// One of the others in a call, as the page shows them.
import type {User} from '../server';
import {displayName} from '../texts';

export type PersonState =
  | 'calling' | 'ringing' | 'connecting' | 'connected' | 'reconnecting'
  | 'no-answer' | 'busy' | 'declined' | 'left' | 'failed';
export type Reason = 'offline' | 'no-path' | 'connection-lost' | 'no-answer-here';

const GONE = new Set<PersonState>(['no-answer', 'busy', 'declined', 'left', 'failed']);

export class Person {
  state: PersonState = 'calling';
  reason: Reason | undefined;
  stream: MediaStream | undefined;
  muted = false;
  sharing = false;
  recording = false;
  wasConnected = false;
  /** `performance.now()` when the state was entered. */
  since = performance.now();

  constructor(readonly user: User) {}

  get id(): number {
    return this.user.id;
  }

  get name(): string {
    return displayName(this.user);
  }

  /** Whether this person will not come (back) in this call. */
  get gone(): boolean {
    return GONE.has(this.state);
  }
}

/** At most two letters that stand for a name. */
export function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = words.map((word) => [...word].find((letter) => /[\p{L}\p{N}]/u.test(letter)) ?? '');
  return ([letters[0], letters.length > 1 ? letters.at(-1) : ''].join('') || '?').toUpperCase();
}

export const hueOf = (id: number): number => (id * 137) % 360;
