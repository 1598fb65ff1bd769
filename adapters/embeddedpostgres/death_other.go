//go:build !linux

package embeddedpostgres

import "syscall"

// signalOnDeath does nothing where the kernel can't: a server that outlives us
// is stopped by the next start.
func signalOnDeath(*syscall.SysProcAttr, syscall.Signal) {}
