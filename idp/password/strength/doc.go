// Package strength estimates how many guesses a password withstands, as zxcvbn
// does (Wheeler, USENIX Security 2016): it looks for words, names, passwords that
// are common, walks over a keyboard, repetitions, sequences and dates, each with
// how many guesses it takes whoever knows what people do, and puts the password
// together from them in the cheapest way.
//
// The word lists and keyboards are those of zxcvbn-go. The estimate itself is made
// here because that package unpacks its lists into fifty thousand objects at every
// start of the program, for commands too that never see a password: the collector
// of a gateway goes through all of them each time. Here they are read when a
// password is first scored, into one table without a pointer.
package strength
