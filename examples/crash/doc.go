// Package crash proves that what the chat server acknowledged survives kill -9.
//
//	go test ./examples/crash -v -kills 100 -seed 7
//
// 64 senders write through real WebSockets to the built examples/chat, which is
// killed at random moments and started again. What they saw is a history; the
// checker (check.go) compares it with what the server has in the end. A mutant
// that acknowledges before it commits must fail the same checker.
package crash
