// Package testenv gives tests what they need of the machine. Only tests import
// it.
package testenv
