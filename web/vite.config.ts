import {fileURLToPath} from 'node:url';
import {defineConfig} from 'vite';
import {licences} from './licences.ts';

/** One classic script under a name that stays: browsers ask for it again by its address. */
const worker = {
  outDir: '../src/ringmesh/server/page',
  emptyOutDir: false,
  target: 'es2023',
  rolldownOptions: {
    input: 'src/service-worker.ts',
    output: {format: 'iife' as const, entryFileNames: '[name].js'},
  },
};

export default defineConfig(({mode}) => mode === 'worker' ? {build: worker} : {
  base: './',
  // The SDK's XMPP packages bring Node's whole emitter, and use little of it.
  resolve: {alias: [{find: /^events$/, replacement: fileURLToPath(new URL('src/events.ts', import.meta.url))}]},
  build: {
    outDir: '../src/ringmesh/server/page',
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0, // the Content-Security-Policy has no room for data: URLs
    modulePreload: {polyfill: false},
    rolldownOptions: {output: {entryFileNames: 'assets/[name]-[hash].js'}},
  },
  plugins: [licences()],
});
