// Package rediscache is the cache that processes share, in a Redis of version 6
// or later, or what speaks its protocol (Valkey, KeyDB).
//
// The Redis is never needed: the service starts and runs without it. While it is
// down, slow, full or refuses our password, calls are misses, and hardly one of
// them waits; the log says so once, and once again when it is over. Whatever lies
// under our keys that is no answer of ours is a miss as well.
//
// The user needs the commands HELLO, AUTH, SELECT, GET and SET, on keys that
// begin with the prefix. Nothing is to be persisted or backed up; a maxmemory
// policy such as volatile-ttl keeps a full Redis taking answers.
package rediscache
