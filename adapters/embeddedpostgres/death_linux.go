package embeddedpostgres

import "syscall"

// signalOnDeath has the kernel signal the child when we die, however we do.
func signalOnDeath(attr *syscall.SysProcAttr, s syscall.Signal) { attr.Pdeathsig = s }
