// Builds dist/ from src/: the script, the module and the declarations. The same
// sources give the same bytes. --check builds beside dist/ and fails when they differ.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';
import { internalNames } from './internal.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
/** What the script build has in place of a source: what it loads later. */
const slots = [
  [/\/timeline\.js$/, 'src/timeline-slot.ts'],
  [/\/load-fallbacks\.js$/, 'src/load-fallbacks-script.ts'],
];
const built = ['index.js', 'fallbacks.js', 'testing.js', 'h5-im-sdk.js', 'h5-im-timeline.js'];
const maxScriptBytes = 16_000;

async function make(out) {
  const common = {
    absWorkingDir: root,
    bundle: true,
    minify: true,
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
  };
  const module = (entry, name, more) =>
    build({ ...common, entryPoints: [entry], outfile: join(out, name), format: 'esm', ...more });
  await module('src/index.ts', 'index.js', { external: ['./fallbacks.js'] });
  await module('src/fallbacks.ts', 'fallbacks.js');
  await module('src/testing/index.ts', 'testing.js');
  // Both scripts call the same members by the same short names.
  const names = internalNames(new URL('../src/', import.meta.url));
  const script = { ...common, format: 'iife', mangleProps: new RegExp(`^(${names.join('|')})$`) };
  const { mangleCache } = await build({
    ...script,
    mangleCache: {},
    entryPoints: ['src/script.ts'],
    outfile: join(out, 'h5-im-sdk.js'),
    inject: ['src/script-url.ts'],
    define: { 'import.meta.url': 'scriptUrl' },
    plugins: slots.map(([filter, path]) => ({
      name: path,
      setup: (b) => b.onResolve({ filter }, () => ({ path: join(root, path) })),
    })),
  });
  await build({
    ...script,
    mangleCache,
    entryPoints: ['src/timeline-script.ts'],
    outfile: join(out, 'h5-im-timeline.js'),
  });
  for (const name of built) {
    const options = { ecma: 2022, module: !name.startsWith('h5-'), toplevel: true, compress: { passes: 3 } };
    const { code } = await minify(readFileSync(join(out, name), 'utf8'), options);
    writeFileSync(join(out, name), code);
  }
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const options = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--rootDir', 'src'];
  execFileSync(
    process.execPath,
    [tsc, '-p', 'tsconfig.build.json', ...options, '--outDir', join(out, 'types')],
    {
      cwd: root,
      stdio: 'inherit',
    },
  );
  for (const [name, types] of [
    ['index', 'index'],
    ['fallbacks', 'fallbacks'],
    ['testing', 'testing/index'],
  ])
    writeFileSync(join(out, `${name}.d.ts`), `export * from './types/${types}.js';\n`);
}

const files = (dir) =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((f) => f.isFile())
    .map((f) => join(f.parentPath, f.name).slice(dir.length + 1))
    .sort();

function same(a, b) {
  try {
    return readFileSync(a).equals(readFileSync(b));
  } catch {
    return false; // one of them does not exist
  }
}

const fresh = mkdtempSync(join(tmpdir(), 'h5-im-sdk-'));
try {
  await make(fresh); // beside dist, which Go embeds: it is never half there
  const both = new Set([...files(fresh), ...files(dist)]);
  const stale = [...both].filter((name) => !same(join(fresh, name), join(dist, name)));
  if (process.argv.includes('--check')) {
    if (stale.length) throw new Error(`dist is stale, run npm run build: ${stale.join(', ')}`);
  } else {
    for (const name of stale) {
      if (existsSync(join(fresh, name))) cpSync(join(fresh, name), join(dist, name));
      else rmSync(join(dist, name));
    }
  }
} finally {
  rmSync(fresh, { recursive: true });
}

const size = (name) => gzipSync(readFileSync(join(dist, name)), { level: 9 }).length;
for (const name of built) console.log(`${name}: ${size(name)} bytes gzipped`);
if (size('h5-im-sdk.js') > maxScriptBytes) {
  console.error(`h5-im-sdk.js is larger than ${maxScriptBytes} bytes`);
  process.exitCode = 1;
}
