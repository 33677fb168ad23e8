// Which devices there are, and where sound goes.
import {prefer, preferences} from '../preferences';
import {Problem, t} from '../texts';

export interface Device {
  id: string;
  label: string;
}

export type DeviceKind = 'audioinput' | 'videoinput' | 'audiooutput';

/** Devices of a kind. Without permission they have no ids, and are of no use. */
export async function devices(kind: DeviceKind): Promise<Device[]> {
  const all = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  return all
    .filter((device) => device.kind === kind && device.deviceId)
    .map((device, index) => ({
      id: device.deviceId,
      label: device.label || `${t.devices.numbered[kind]} ${index + 1}`,
    }));
}

export const canChooseSpeakers = 'setSinkId' in HTMLMediaElement.prototype;

/** Send this element's sound to the chosen speakers, or to the default if they are gone. */
export async function toSpeakers(element: HTMLMediaElement): Promise<void> {
  if (!canChooseSpeakers || element.sinkId === preferences.speakers) return;
  await element.setSinkId(preferences.speakers).catch(() => element.setSinkId('').catch(() => undefined));
}

/** Choose speakers for all elements that play now and later. */
export async function chooseSpeakers(deviceId: string, elements: Iterable<HTMLMediaElement>): Promise<void> {
  const before = preferences.speakers;
  prefer({speakers: deviceId});
  for (const element of elements) {
    try {
      await element.setSinkId(deviceId);
    } catch {
      prefer({speakers: before});
      throw new Problem('speakers-failed');
    }
  }
}
