import { expect, it } from 'vitest';
import { IMClient as Client, type IMError, type IMOptions, type Message } from './sdk.js';
import { quiet, text, world } from './setup.js';

const w = world();

it('runs the first snippet of the documentation, word for word', async () => {
  const log: unknown[][] = [];
  const console = { log: (...args: unknown[]) => log.push(args) };
  const imageFile = new Blob(['x']);
  const errors: IMError[] = [];
  class IMClient extends Client {
    constructor(o: IMOptions) {
      super({ ...o, platform: w.server.platform(), endpoint: 'http://chat.test/im', logger: quiet });
    }
  }

  const imClient = new IMClient({ appId: 'YOUR_APP_ID', userToken: 'USER_TOKEN' });
  imClient.init();
  imClient.sendMessage({ to: 'user123', content: 'Hello, World!' });
  imClient.onMessage((message) => {
    console.log('New Message:', message);
  });
  imClient.sendImage({ to: 'user123', file: imageFile });
  imClient.startVideoCall({ to: 'user123' });

  imClient.on('error', (e) => errors.push(e));
  await w.pass();
  expect(w.server.chat('d_me_user123').messages.map(text)).toEqual(['Hello, World!']);
  w.server.send('user123', { user: 'me' }, 'Hello, you!');
  await w.pass();
  expect(log.map(([label, m]) => [label, text(m as Message)])).toEqual([['New Message:', 'Hello, you!']]);
  expect(errors.map((e) => e.reason)).toEqual(['unsupported', 'unsupported']);
  await imClient.close();
});
