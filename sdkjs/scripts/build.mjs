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
const slot = join(root, 'src/timeline-slot.ts');
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
  await build({ ...common, entryPoints: ['src/index.ts'], outfile: join(out, 'index.js'), format: 'esm' });
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
    plugins: [
      { name: 'slot', setup: (b) => b.onResolve({ filter: /\/timeline\.js$/ }, () => ({ path: slot })) },
    ],
  });
  await build({
    ...script,
    mangleCache,
    entryPoints: ['src/timeline-script.ts'],
    outfile: join(out, 'h5-im-timeline.js'),
  });
  for (const name of ['index.js', 'h5-im-sdk.js', 'h5-im-timeline.js']) {
    const options = { ecma: 2022, module: name === 'index.js', toplevel: true, compress: { passes: 3 } };
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
  writeFileSync(join(out, 'index.d.ts'), "export * from './types/index.js';\n");
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
for (const name of ['h5-im-sdk.js', 'h5-im-timeline.js', 'index.js'])
  console.log(`${name}: ${size(name)} bytes gzipped`);
if (size('h5-im-sdk.js') > maxScriptBytes) {
  console.error(`h5-im-sdk.js is larger than ${maxScriptBytes} bytes`);
  process.exitCode = 1;
}
