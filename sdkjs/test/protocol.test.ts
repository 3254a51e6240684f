import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromWire } from '../src/errors.js';
import { Rpc } from '../src/rpc.js';
import { serverReasons } from './sdk.js';

const im = new URL('../../im/', import.meta.url);
const json = (path: string) => JSON.parse(readFileSync(new URL(path, im), 'utf8'));

interface Vector {
  name: string;
  method: string;
  json: string;
}
const vectors = (file: string): Vector[] => json(`wire/testdata/vectors/${file}.json`);

interface Schema {
  $ref?: string;
  type?: string;
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  oneOf?: Schema[];
  anyOf?: Schema[];
}

const doc = json('testdata/openrpc.json');

/** What is wrong with a value by its schema: the one that src/protocol.ts is made of. */
function wrong(value: unknown, schema: Schema, at: string): string[] {
  if (schema.$ref) return wrong(value, doc.components.schemas[schema.$ref.split('/').at(-1) as string], at);
  const some = schema.oneOf ?? schema.anyOf;
  if (some) return some.some((s) => !wrong(value, s, at).length) ? [] : [`${at} is none of its alternatives`];
  if ('const' in schema) return value === schema.const ? [] : [`${at} is not ${schema.const}`];
  if (schema.enum) return schema.enum.includes(value) ? [] : [`${at} is not in the list`];
  if (schema.type === 'array') {
    if (!Array.isArray(value)) return [`${at} is no array`];
    return value.flatMap((v, i) => wrong(v, schema.items ?? {}, `${at}[${i}]`));
  }
  if (schema.type === 'object') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${at} is no object`];
    const missing = (schema.required ?? []).filter((k) => !(k in value)).map((k) => `${at}.${k} is missing`);
    if (!schema.properties) return missing;
    const { properties } = schema;
    const fields = Object.entries(value).flatMap(([k, v]) =>
      properties[k] ? wrong(v, properties[k], `${at}.${k}`) : [`${at}.${k} is not in the schema`],
    );
    return [...missing, ...fields];
  }
  if (schema.type === 'integer') return Number.isSafeInteger(value) ? [] : [`${at} is no integer`];
  if (schema.type) return typeof value === schema.type ? [] : [`${at} is no ${schema.type}`];
  return [];
}

interface Method {
  name: string;
  params: Array<{ schema: Schema }>;
  result: { schema: Schema };
}
const method = (name: string) => doc.methods.find((m: Method) => m.name === name) as Method;
const event = (name: string) =>
  doc['x-events'].find((e: { name: string }) => e.name === name) as { schema: Schema };

describe('the catalogue of reasons', () => {
  it("is the server's", () => {
    const reasons: Array<{ reason: string }> = json('wire/testdata/reasons.json');
    expect([...serverReasons]).toEqual(reasons.map((r) => r.reason));
  });
});

describe('the golden vectors', () => {
  it.each(vectors('events'))('event $name', (v) => {
    const got: unknown[] = [];
    new Rpc(
      () => {},
      (name, params) => got.push([name, params]),
    ).receive(v.json);
    expect(got).toEqual([[v.method, JSON.parse(v.json).params]]);
    expect(wrong(JSON.parse(v.json).params, event(v.method).schema, v.method)).toEqual([]);
  });

  it.each(vectors('results'))('result $name', async (v) => {
    const rpc = new Rpc(
      () => {},
      () => {},
    );
    const answer = rpc.call('ping', {}, {});
    await Promise.resolve();
    rpc.receive(v.json);
    expect(await answer).toEqual(JSON.parse(v.json).result);
    expect(wrong(JSON.parse(v.json).result, method(v.method).result.schema, v.method)).toEqual([]);
  });

  it.each(vectors('requests').filter((v) => method(v.method)))('request $name', async (v) => {
    const { params } = JSON.parse(v.json);
    if (params === undefined) return;
    expect(wrong(params, (method(v.method).params[0] as { schema: Schema }).schema, v.method)).toEqual([]);
  });

  it.each(vectors('errors'))('error $name', (v) => {
    const { error } = JSON.parse(v.json);
    const e = fromWire(error);
    const { reason = 'internal', retryAfterMs, ...detail } = error.data ?? {};
    expect(e).toMatchObject({ reason, message: error.message, detail });
    expect(e.retryAfterMs).toBe(retryAfterMs);
  });

  it.each(vectors('batches'))('batch $name', (v) => {
    let events = 0;
    new Rpc(
      () => {},
      () => events++,
    ).receive(v.json);
    expect(events).toBe(JSON.parse(v.json).filter((m: { method?: string }) => m.method).length);
  });
});

describe('a frame that is not the protocol', () => {
  it.each(['', '{', 'null', '1', '"x"', '[]', '[null]', '{}', '[[]]', '{"id":99,"result":{}}'])(
    '%s harms nothing',
    (frame) => {
      const rpc = new Rpc(
        () => {},
        () => {
          throw new Error('no event');
        },
      );
      expect(() => rpc.receive(frame)).not.toThrow();
    },
  );
});
