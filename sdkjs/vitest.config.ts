import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// DIST=1 runs the tests against what was built.
const built = fileURLToPath(new URL('dist/index.js', import.meta.url));
const alias = process.env.DIST ? [{ find: /^\.\.\/src\/index\.js$/, replacement: built }] : [];

export default defineConfig({
  resolve: { alias },
  test: { include: ['test/**/*.test.ts'], testTimeout: 3000, hookTimeout: 3000 },
});
