// Package ports holds the interfaces between Lectern's use cases and the
// technologies that serve them. Each comment is the contract that an adapter
// keeps and that portstest checks.
//
// Unlike in some hexagons, nothing here is an inbound handler: those are
// driving adapters (connectapi).
package ports
