// The SDK against the real server, which is killed and started again all the
// while: nothing lost, nothing doubled, everything in order, and all clients,
// over all transports, see the same. Run: node --experimental-websocket e2e/restarts.mjs [seconds] [seed]
// (from Node 22 on without the flag). It needs dist/ and Go.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IMClient } from '../dist/index.js';

const seconds = Number(process.argv[2] ?? 20);
const seed = Number(process.argv[3] ?? Date.now() % 1e6);
console.log(`${seconds} s, seed ${seed}`);

/** mulberry32 */
let state = seed;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const root = fileURLToPath(new URL('../..', import.meta.url));
const temporary = mkdtempSync(join(tmpdir(), 'h5im-sdk-'));
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }));
const unhandled = [];
process.on('unhandledRejection', (e) => unhandled.push(e));

const binary = join(temporary, 'chat');
execFileSync('go', ['build', '-o', binary, './examples/chat'], { cwd: root, stdio: 'inherit' });
const address = await new Promise((found) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => found(`127.0.0.1:${port}`));
  });
});

let server;
async function start() {
  server = spawn(binary, ['-addr', address, '-data', join(temporary, 'data')], { stdio: 'ignore' });
  for (let i = 0; i < 100; i++) {
    const up = await fetch(`http://${address}/im/openrpc.json`).catch(() => null);
    if (up?.ok) return;
    await sleep(50);
  }
  throw new Error('the server does not come up');
}

async function kill(signal) {
  const gone = new Promise((done) => server.once('exit', done));
  server.kill(signal);
  await gone;
}

async function login(user) {
  const answer = await fetch(`http://${address}/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ user }),
  });
  return (await answer.json()).token;
}

function same(actual, expected, what) {
  const at = expected.findIndex((x, i) => x !== actual[i]);
  const near = (list) => list.slice(Math.max(0, at - 3), at + 5).join(' ');
  assert.ok(
    at < 0 && actual.length === expected.length,
    `${what} ${actual.length} and not ${expected.length}: ${near(actual)} and not ${near(expected)}`,
  );
}

await start();
const users = ['sdk-a', 'sdk-b', 'sdk-c'];
const people = [];
const transports = ['websocket', 'sse', 'poll'];
for (const user of users) {
  // Two devices each: the second only listens and shows.
  for (const device of ['sender', 'viewer']) {
    const client = new IMClient({
      appId: 'demo',
      endpoint: `http://${address}/im`,
      transport: transports[people.length % transports.length],
      getToken: () => login(user),
      platform: { storage: null },
      logger: { warn: () => {}, error: console.error },
    });
    const told = new Map();
    client.onMessage((m) => {
      told.set(m.conversation, [...(told.get(m.conversation) ?? []), m]);
    });
    const gaps = [];
    client.on('gap', (g) => gaps.push(g));
    await client.init();
    people.push({ user, device, client, told, gaps });
  }
}
const senders = people.filter((p) => p.device === 'sender');
const group = await senders[0].client.groups.create({ title: 'Restarts', members: users.slice(1) });
await sleep(200);
for (const p of people) p.timeline = p.client.messages.timeline(group.id);

const sent = [];
let running = true;
const sending = senders.map(async ({ user, client }, i) => {
  for (let n = 0; running; n++) {
    const to = random() < 0.7 ? { conversation: group.id } : { user: users[(i + 1) % users.length] };
    const content = `${user} ${n}`;
    sent.push({ user, n, to, content, handle: client.sendMessage({ to, content }) });
    await sleep(random() * 80);
  }
});
const end = Date.now() + seconds * 1000;
let kills = 0;
while (Date.now() < end) {
  await sleep(500 + random() * 2500);
  await kill(random() < 0.7 ? 'SIGKILL' : 'SIGTERM');
  await sleep(random() * 800);
  await start();
  kills++;
}
running = false;
await Promise.all(sending);
const messages = await Promise.all(sent.map((s) => s.handle));
await Promise.all(people.map((p) => p.client.call('ping', {}, { timeoutMs: 60_000 }))); // all are online again
await sleep(2000);

// Every send was acknowledged, at one place each, and each sender's in his order.
const places = new Set(messages.map((m) => `${m.conversation} ${m.seq}`));
assert.equal(places.size, messages.length, 'two messages in one place');
const last = new Map();
messages.forEach((m, i) => {
  const key = `${sent[i].user} ${m.conversation}`;
  assert.ok(m.seq > (last.get(key) ?? 0), `${sent[i].content} overtook another`);
  last.set(key, m.seq);
  assert.equal(m.content.text, sent[i].content);
});

// Everybody was told of everything that he did not send here, once, ascending.
for (const p of people) {
  const mine = (s) => p.device === 'sender' && s.user === p.user;
  const member = (m, s) => m.conversation === group.id || s.user === p.user || s.to.user === p.user;
  const wanted = new Map();
  messages.forEach((m, i) => {
    if (!mine(sent[i]) && member(m, sent[i])) {
      wanted.set(m.conversation, [...(wanted.get(m.conversation) ?? []), m.seq]);
    }
  });
  for (const [conversation, seqs] of wanted) {
    const told = (p.told.get(conversation) ?? []).map((m) => m.seq);
    const skipped = (seq) =>
      p.gaps.some((g) => g.conversation === conversation && g.from <= seq && seq <= g.to);
    const expected = seqs.filter((seq) => !skipped(seq)).sort((a, b) => a - b);
    same(told, expected, `${p.user} ${p.device} was told in ${conversation}`);
  }
}

// Every timeline shows the group whole and alike.
const total = messages.filter((m) => m.conversation === group.id).length;
for (const p of people) {
  while (p.timeline.hasOlder) await p.timeline.loadOlder();
  const hole = () => p.timeline.items.find((i) => i.type === 'gap');
  for (let gap = hole(); gap; gap = hole()) await p.timeline.fill(gap);
  const shown = p.timeline.items.map((i) => (i.type === 'message' ? i.message.seq : i.type));
  same(
    shown,
    Array.from({ length: total }, (_, i) => i + 1),
    `${p.user} ${p.device} is shown`,
  );
  assert.equal(p.client.conversations.peek(group.id).seq, total);
}
for (const p of people) await p.client.close();
assert.deepEqual(unhandled, []);
await kill('SIGTERM');
const gaps = people.reduce((n, p) => n + p.gaps.length, 0);
console.log(
  `${messages.length} messages, ${kills} restarts, ${gaps} gaps told: nothing lost, doubled or out of order`,
);
process.exit(0);
