// Package lab is the fault laboratory: it breaks everything around a server
// and proves that nothing is lost, doubled or out of order.
//
//	go test ./lab -v -timeout 0 -run FaultsBreakNoPromise -messages 20000 -seed 7 -faults kill,slow
//
// in the folder examples. Sixteen clients over WebSocket, server-sent events
// and long poll write through a proxy (proxy.go) to a server of their own
// process, while one fault follows the other (faults.go), and while members are
// removed and added again. A quarter of the clients sends each message five
// times. They write down what they see with one clock (history.go); the checker
// (check.go) holds it against the promises, knowing nothing of the server.
//
// The seed decides what is written and which fault comes when; it is printed
// with the command that repeats it. How processes interleave is the machine's,
// so a violation may need more than one repetition.
//
// The checker is tested with damaged histories (check_test.go), the laboratory
// with servers that break one promise each (server/mutant.go).
package lab
