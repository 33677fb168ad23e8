// What this browser remembers: choices in localStorage, who is signed in per tab in sessionStorage.
// Storage may be forbidden; then nothing is remembered.

export type Theme = 'system' | 'light' | 'dark';

interface Choices {
  microphone: string;
  camera: string;
  speakers: string;
  micOn: boolean;
  cameraOn: boolean;
  bandwidth: number;
  theme: Theme;
  /** Names this browser among the devices of whoever is notified of calls in it. */
  device: string;
  /** The user whose calls ring here while the page is closed, 0 for nobody. */
  bellOf: number;
  /** Missed calls up to this id were cleared away. */
  missedSeen: number;
}

const KEY = 'ringmesh';
const defaults: Choices = {
  microphone: '', camera: '', speakers: '', micOn: true, cameraOn: true, bandwidth: 0, theme: 'system', device: '', bellOf: 0, missedSeen: 0,
};

export function remember(storage: 'localStorage' | 'sessionStorage', value: unknown): void {
  try {
    if (value === null) window[storage].removeItem(KEY);
    else window[storage].setItem(KEY, JSON.stringify(value));
  } catch { /* private mode */ }
}

export function recall<Value>(storage: 'localStorage' | 'sessionStorage'): Partial<Value> {
  try {
    const found: unknown = JSON.parse(window[storage].getItem(KEY) ?? '{}');
    return typeof found === 'object' && found !== null ? found : {};
  } catch {
    return {};
  }
}

function sound(found: Partial<Choices>): Choices {
  const choices: Record<string, unknown> = {...defaults};
  for (const [name, value] of Object.entries(found)) {
    if (typeof value === typeof choices[name]) choices[name] = value;
  }
  return choices as unknown as Choices;
}

export const preferences: Readonly<Choices> = sound(recall<Choices>('localStorage'));

export function prefer(change: Partial<Choices>): void {
  Object.assign(preferences, change);
  remember('localStorage', preferences);
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = preferences.theme;
}
