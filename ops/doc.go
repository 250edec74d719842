// Package ops is `lntpay ops`: what an operator looks at when a payment is
// stuck, and what they may do about it. A command that changes something needs
// a name and a reason, and writes both to the audit trail with what it did; the
// transactions are in package store. It moves no payment itself: it writes what
// an operator wants, and a worker judges that by the row and the node.
package ops
