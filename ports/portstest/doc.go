// Package portstest holds the conformance suites of the ports: each adapter's
// tests run the suite of the port that it implements, with a harness that
// makes it. What an adapter can't pass it names as an exception, with the
// reason. It is for tests alone.
package portstest
