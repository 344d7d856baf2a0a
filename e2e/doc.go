// Package e2e proves what gatehouse promises, from outside: it builds the
// program, starts it as a person would, and drives it with raw sockets, with a
// plain HTTP client, with Chromium, and with OpenID clients and an OpenID
// issuer that other people wrote.
//
// It holds tests only. It is a module of its own, so that neither its tools nor
// their versions reach those who build the program; of gatehouse it imports
// the demo application, which also serves as the upstream here, and what its tests
// use themselves: a mail sink, a private PostgreSQL, an authenticator.
//
//	npm ci --ignore-scripts      # clients, issuer and a pinned Node
//	go test ./...
//
// Tests that need Chromium, PostgreSQL or the packages of npm skip with a
// sentence where these are missing; with GATEHOUSE_E2E=1 that is a failure
// instead.
//
// The order of things: main_test.go builds the binary; process_test.go starts
// and ends it; config_test.go holds every configuration file of this folder;
// visitor_test.go is a browser without scripts; node_test.go runs the scripts
// of node/; engine_test.go knows the databases, mail_test.go reads mail;
// crash_*_test.go hold the load under which the process is killed. Each
// other file holds the tests of one promise.
package e2e
