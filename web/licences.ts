// Writes the licences of everything in the bundle beside it. Packages that the SDK's own build has
// inlined are not seen by ours and are named here.
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import type {Plugin} from 'vite';

interface Package {
  name: string;
  version: string;
  licence: string;
  text: string;
}

/** Inlined in connectycube 6.1.2 without a licence file of their own. */
const INLINED: Package[] = [
  {name: '@sama-communications/sdk', version: '0.16.0', licence: 'Apache-2.0 (as connectycube, which contains it)', text: ''},
  {name: 'janus-gateway (janus.js)', version: 'as in connectycube 6.1.2', licence: 'MIT', text: mit('2016 Meetecho')},
];

export function licences(): Plugin {
  return {
    name: 'licences',
    generateBundle(_options, bundle) {
      const folders = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const id of chunk.moduleIds) {
          const found = folderOf(id);
          if (found) folders.add(found);
        }
      }
      const packages = [...[...folders].map(packageIn), ...INLINED].sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const {name, licence} of packages) if (!licence) this.error(`${name} has no licence`);
      this.emitFile({type: 'asset', fileName: 'licences.txt', source: `${HEADING}\n\n${packages.map(entry).join('\n')}`});
    },
  };
}

const RULE = '-'.repeat(80);
const HEADING = 'This page contains the following packages, each under its own licence.';
const entry = ({name, version, licence, text}: Package) => `${RULE}\n${name} ${version}: ${licence}\n${text ? `\n${text.trim()}\n` : ''}`;

function folderOf(module: string): string | undefined {
  if (!module.includes('/node_modules/')) return undefined;
  let folder = dirname(module.replace(/^\0/, '').replace(/\?.*$/, ''));
  while (!existsSync(join(folder, 'package.json')) || !manifest(folder).name) folder = dirname(folder);
  return folder;
}

const manifest = (folder: string) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

function packageIn(folder: string): Package {
  const {name, version, license, licenses} = manifest(folder);
  const file = readdirSync(folder).find((one) => /^(licen[cs]e|copying)/i.test(one));
  return {
    name,
    version,
    licence: (typeof license === 'string' ? license : license?.type) ?? licenses?.[0]?.type ?? '' /* sasl-* have the old form */,
    text: file ? readFileSync(join(folder, file), 'utf8') : '',
  };
}

function mit(holder: string): string {
  return `Copyright (c) ${holder}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;
}
