import { socketOf } from '../platform.js';
import type { Dial } from './conn.js';

/** @internal */
export const websocket: Dial = (d, e) => {
  const socket = socketOf(d.platform, d.url('ws'), 'im.v1.json');
  socket.onopen = () => e.opened();
  socket.onmessage = ({ data }: { data: unknown }) => e.received(typeof data === 'string' ? data : undefined);
  socket.onclose = ({ code = 1006, reason }: { code?: number; reason?: string }) => e.closed(code, reason);
  socket.onerror = () => {}; // a close follows
  return {
    send: (frame) => socket.send(frame),
    close: () => {
      try {
        socket.close(1000);
      } catch {}
    },
  };
};
