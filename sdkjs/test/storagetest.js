// What every StorageAdapter must do, one case for each rule. It runs in vitest
// and, as it is, in a browser: see examples/e2e.

function equal(got, wanted) {
  const [a, b] = [got, wanted].map((v) =>
    JSON.stringify(v, (_, x) => (x instanceof Uint8Array ? [...x] : x)),
  );
  if (a !== b) throw new Error(`got ${a}, wanted ${b}`);
}

/**
 * The cases, by rule. Each gets an empty storage and again(), which opens another
 * one over the same data.
 * @type {Record<string, (storage: import('../src/storage.js').StorageAdapter, again: () => import('../src/storage.js').StorageAdapter) => Promise<void>>}
 */
export const cases = {
  'gives what was written, and undefined for what was not': async (storage, again) => {
    const value = {
      text: 'שלום 👩‍👩‍👧‍👦\u0000',
      list: [1, null, { a: true }],
      bytes: new Uint8Array([1, 2]),
    };
    await storage.write([{ key: 'k', value }]);
    equal(await storage.get('k'), value);
    equal((await storage.get('K')) === undefined, true);
    equal(await again().get('k'), value);
  },

  'replaces and removes, in the order of the changes': async (storage) => {
    await storage.write([
      { key: 'a', value: 1 },
      { key: 'a', value: 2 },
      { key: 'b', value: 1 },
      { key: 'b' },
      { key: 'absent' },
      { key: 'c' },
      { key: 'c', value: 0 },
    ]);
    equal(await storage.list(''), [
      ['a', 2],
      ['c', 0],
    ]);
  },

  'lists by prefix, ascending by code unit, and nothing beside it': async (storage) => {
    const keys = ['["a"]x', '["a"]', '["a"]x/2', '["a"]x/10', '["a"]y', '["ab"]x', '["a"]x/é', '["a"]x/Z'];
    await storage.write(keys.map((key) => ({ key, value: key })));
    const under = keys.filter((k) => k.startsWith('["a"]x')).sort((a, b) => (a < b ? -1 : 1));
    equal(
      await storage.list('["a"]x'),
      under.map((k) => [k, k]),
    );
    equal(await storage.list('none'), []);
  },

  'makes all changes or none': async (storage) => {
    await storage.write([{ key: 'a', value: 1 }]);
    const bad = [
      { key: 'a', value: 2 },
      { key: 'b', value: 2 },
      { key: 'c', value: () => {} }, // it cannot be cloned
    ];
    const failed = await storage.write(bad).then(
      () => false,
      () => true,
    );
    equal(
      (await storage.list('')).map(([key]) => key),
      failed ? ['a'] : ['a', 'b', 'c'],
    );
    equal(await storage.get('a'), failed ? 1 : 2);
  },

  'takes many changes at a time, from two sides': async (storage, again) => {
    const other = again();
    const n = 50;
    const write = (i) => (i % 2 ? storage : other).write([{ key: `k${i}`, value: i }]);
    await Promise.all(Array.from({ length: n }, (_, i) => write(i)));
    equal((await storage.list('k')).length, n);
  },

  'reads after a write what was written': async (storage) => {
    await storage.write([{ key: 'k', value: 'old' }]);
    const [, got] = await Promise.all([storage.write([{ key: 'k', value: 'new' }]), storage.get('k')]);
    equal(got, 'new');
  },

  'takes no change and a large one': async (storage) => {
    await storage.write([]);
    await storage.write([{ key: 'large', value: 'x'.repeat(1_000_000) }]);
    equal((await storage.get('large')).length, 1_000_000);
  },
};
