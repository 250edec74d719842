// Package faults breaks the parts of a real stack while charges are created and
// paid and withdrawals are made, and checks that nothing is lost and nothing is
// credited or paid twice. The stack is `lntpay dev` in processes of its own, as a user runs it.
//
// Processes are killed, stand still and go on (SIGSTOP), and are restarted;
// Postgres' disk is full; its clock jumps; an operator terminates workflows. A run
// of all tests makes the short ones, LNTPAY_SOAK=1 (make soak) all of them.
// docs/faults.md has what came of each. Networks between containers are cut in
// tests/compose.
//
// What lives here is what needs a process to die or to stand still. Failures that
// a fake can play (an error, a timeout, a lost answer) are tested beside the code.
package faults
