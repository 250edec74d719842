// Package faults kills the parts of a real stack while charges are created and
// paid and withdrawals are made, and checks that nothing is lost and nothing is
// credited or paid twice. The stack is `lntpay dev` in processes of its own, as a user runs it.
//
// What lives here is what needs a process to die. Failures that a fake can
// play (an error, a timeout, a lost answer) are tested beside the code.
package faults
