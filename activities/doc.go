// Package activities holds the side effects that workflows name: Postgres, the
// node, HTTP. Each may run twice, also at the same time (rule R2): it looks for
// its own row first and moves it by compare-and-swap, so that found done means
// done. None decides what happens next; each charge activity returns the row
// as it left it, and the workflow goes by that.
package activities
