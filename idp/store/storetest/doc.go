// Package storetest holds the promises of the provider's store as tests. Every
// store runs [Run]; each promise is one test, and those about callers at once run
// fifty of them. [Open] gives tests of other packages a real database.
package storetest
