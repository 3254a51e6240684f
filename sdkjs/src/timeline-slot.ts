import { IMError } from './errors.js';
import type { Timeline as Real } from './timeline.js';

type Args = ConstructorParameters<typeof Real>;

/** Timeline in the script build: its code is a script of its own, h5-im-timeline.js. */
export class Timeline {
  constructor(...args: Args) {
    const { Timeline } = (globalThis as unknown as { IMClient: { Timeline?: new (...args: Args) => Real } })
      .IMClient;
    if (!Timeline) throw new IMError('unsupported', 'add the script h5-im-timeline.js after h5-im-sdk.js');
    // biome-ignore lint/correctness/noConstructorReturn: it stands for the real one
    return new Timeline(...args) as unknown as this;
  }
}
