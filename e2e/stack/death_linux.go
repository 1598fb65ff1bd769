package stack

import "syscall"

// killOnDeath has the kernel kill the child when we die, however we do.
func killOnDeath(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
