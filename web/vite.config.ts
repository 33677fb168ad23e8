import {defineConfig} from 'vite';
import {licences} from './licences.ts';

export default defineConfig({
  base: './',
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
