import { describe, expect, it } from 'vitest';
import type { StorageAdapter } from './sdk.js';

/** What every StorageAdapter must do. open gives an empty one, again one over the same data. */
export function conform(name: string, open: () => { storage: StorageAdapter; again: () => StorageAdapter }) {
  describe(`the storage ${name}`, () => {
    it('gives what was written, and undefined for what was not', async () => {
      const { storage, again } = open();
      const value = {
        text: 'שלום 👩‍👩‍👧‍👦\u0000',
        list: [1, null, { a: true }],
        bytes: new Uint8Array([1, 2]),
      };
      await storage.write([{ key: 'k', value }]);
      expect(await storage.get('k')).toEqual(value);
      expect(await storage.get('K')).toBeUndefined();
      expect(await again().get('k')).toEqual(value);
    });

    it('replaces and removes, in the order of the changes', async () => {
      const { storage } = open();
      await storage.write([
        { key: 'a', value: 1 },
        { key: 'a', value: 2 },
        { key: 'b', value: 1 },
        { key: 'b' },
        { key: 'absent' },
        { key: 'c' },
        { key: 'c', value: 0 },
      ]);
      expect(await storage.list('')).toEqual([
        ['a', 2],
        ['c', 0],
      ]);
    });

    it('lists by prefix, ascending by code unit, and nothing beside it', async () => {
      const { storage } = open();
      const keys = ['["a"]x', '["a"]', '["a"]x/2', '["a"]x/10', '["a"]y', '["ab"]x', '["a"]x/é', '["a"]x/Z'];
      await storage.write(keys.map((key) => ({ key, value: key })));
      const under = keys.filter((k) => k.startsWith('["a"]x')).sort((a, b) => (a < b ? -1 : 1));
      expect(await storage.list('["a"]x')).toEqual(under.map((k) => [k, k]));
      expect(await storage.list('none')).toEqual([]);
    });

    it('makes all changes or none', async () => {
      const { storage } = open();
      await storage.write([{ key: 'a', value: 1 }]);
      const bad = storage.write([
        { key: 'a', value: 2 },
        { key: 'b', value: 2 },
        { key: 'c', value: () => {} },
      ]);
      const failed = await bad.then(
        () => false,
        () => true,
      );
      const left = (await storage.list('')).map(([key]) => key);
      expect(left).toEqual(failed ? ['a'] : ['a', 'b', 'c']);
      expect(await storage.get('a')).toBe(failed ? 1 : 2);
    });

    it('answers many at a time, a read after a write as the write left it', async () => {
      const { storage, again } = open();
      const other = again();
      const n = 50;
      await Promise.all(
        Array.from({ length: n }, (_, i) => (i % 2 ? storage : other).write([{ key: `k${i}`, value: i }])),
      );
      expect((await storage.list('k')).length).toBe(n);
      await Promise.all([
        storage.write([{ key: 'k0', value: 'new' }]),
        storage.get('k0').then((v) => expect(v).toBe('new')),
      ]);
    });

    it('takes no change and a large one', async () => {
      const { storage } = open();
      await storage.write([]);
      await storage.write([{ key: 'large', value: 'x'.repeat(1_000_000) }]);
      expect(((await storage.get('large')) as string).length).toBe(1_000_000);
    });
  });
}
