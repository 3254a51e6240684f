// The entry of h5-im-timeline.js, which a page loads after h5-im-sdk.js for messages.timeline.
import { Timeline } from './timeline.js';

Object.assign((globalThis as unknown as { IMClient: object }).IMClient, { Timeline });
