// The double that the SDK brings for the tests of applications is our own, too.
export {
  type Chat,
  Refusal,
  TestServer as Server,
  type TestSession as FakeSession,
} from '../src/testing/index.js';
