import {App} from './app';
import {audioContext} from './media/level';
import {applyTheme} from './preferences';
import {sdk} from './sdk';
import {t} from './texts';
import {h} from './ui/dom';
import {mountNotices} from './ui/notices';

const root = document.getElementById('app')!;
document.documentElement.lang = t.language;
applyTheme();
mountNotices();
// The SDK neither catches nor queues what it cannot send while the chat is away; calls/call.ts says
// again what matters.
window.addEventListener('unhandledrejection', (event) => {
  if (!sdk.chat?.isConnected) event.preventDefault();
});
// Browsers keep sound off until the person has touched the page.
for (const gesture of ['pointerdown', 'keydown']) {
  window.addEventListener(gesture, () => audioContext(), {once: true});
}
if (sdk.isWebRTCAvailable) void new App(root).start();
else {
  const text = window.isSecureContext ? t.problems.unsupported : t.problems.insecure;
  root.append(h('main', {class: 'entrance'}, h('div', {class: 'card'},
    h('h1', {}, t.app), h('p', {class: 'problem', role: 'alert'}, text))));
}
