//go:build !linux

package stack

import "syscall"

// killOnDeath does nothing where the kernel can't: a child outlives us when we
// are killed, and only then.
func killOnDeath(*syscall.SysProcAttr) {}
