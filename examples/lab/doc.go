// Package lab is the fault laboratory: it breaks everything around a server
// and proves that nothing is lost, doubled or out of order.
//
// Clients write down what they see with one clock (history.go); the checker
// (check.go) holds it against the promises, knowing nothing of the server.
package lab
