// Does the same to the npm package `events` and to what the page puts in its place, at random, and
// prints the first case in which the two tell of different things.
//     node compare_emitters.mjs WEB_FOLDER CASES
import {createRequire} from 'node:module';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';

const [folder, cases] = [process.argv[2], Number(process.argv[3])];
const require = createRequire(join(folder, 'package.json'));
const {transformWithOxc} = await import(pathToFileURL(join(folder, 'node_modules/vite/dist/node/index.js')));
const {code} = await transformWithOxc(readFileSync(join(folder, 'src/events.ts'), 'utf8'), 'events.ts');
const {EventEmitter: Ours} = await import(`data:text/javascript,${encodeURIComponent(code)}`);
const {EventEmitter: Theirs} = require('events/');

const NAMES = ['element', 'error'];
const MOST_TOLD = 300;
Theirs.defaultMaxListeners = 0; // else it warns, which is not of interest here

/** Numbers from 0 to `below`, the same for the same seed (a linear congruential generator). */
function dice(seed) {
  let state = seed;
  return (below) => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What listeners hear, and what every operation returns or throws. */
function story(Emitter, seed) {
  const [emitter, roll, told] = [new Emitter(), dice(seed), []];
  const listeners = Array.from({length: 4}, (_, index) => function (...given) {
    told.push([index, this === emitter, ...given]);
    if (told.length < MOST_TOLD && !roll(3)) act();
  });
  const act = () => {
    const [name, listener] = [NAMES[roll(2)], listeners[roll(4)]];
    const doing = [
      () => emitter.on(name, listener) === emitter,
      () => emitter.addListener(name, listener) === emitter,
      () => emitter.once(name, listener) === emitter,
      () => emitter.removeListener(name, listener) === emitter,
      () => emitter.emit(name, new Error('x').message, name),
      () => emitter.emit(name, new Error('nobody listens')),
    ][roll(6)];
    try {
      told.push(doing());
    } catch (error) {
      told.push(String(error).includes('nobody listens') ? 'threw' : 'threw something');
    }
  };
  for (let step = 0; step < 40; step++) act();
  return told.map(String).join('\n');
}

for (let seed = 1; seed <= cases; seed++) {
  const [theirs, ours] = [story(Theirs, seed), story(Ours, seed)];
  if (theirs === ours) continue;
  console.log(`Seed ${seed}. The package:\n${theirs}\n\nThe page:\n${ours}`);
  process.exit(1);
}
