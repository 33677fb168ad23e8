// The texts in the language of the reader, English where there is no other.
import {inLanguage} from './language';
import {en, type ProblemCode, type Texts} from './texts.en';

export const t: Texts = inLanguage({en});
export type {ProblemCode};

/** A failure that has a text for people. */
export class Problem extends Error {
  constructor(readonly code: ProblemCode, readonly detail = '') {
    super(detail ? `${t.problems[code]}: ${detail}` : t.problems[code]);
  }
}

export const problemText = (error: unknown): string =>
  error instanceof Problem ? error.message : t.problems.unexpected;

const LONGEST_NAME = 60;

/** A name as it is shown: whatever people typed, on one line and not too long. */
export function displayName(user: {full_name?: string | null; login?: string | null; id: number}): string {
  const name = (user.full_name || user.login || `#${user.id}`).replace(/\s+/g, ' ').trim() || `#${user.id}`;
  const letters = [...name];
  return letters.length > LONGEST_NAME ? `${letters.slice(0, LONGEST_NAME - 1).join('')}…` : name;
}

/** `4:05` or `1:02:03`. */
export function clock(seconds: number): string {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  const tail = `${String(m).padStart(h ? 2 : 1, '0')}:${String(s).padStart(2, '0')}`;
  return h ? `${h}:${tail}` : tail;
}
