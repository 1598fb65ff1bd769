package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// machine says on what was measured, as far as this system tells.
func machine() []string {
	return []string{
		fmt.Sprintf("%s, %d CPUs, %s of memory", cmp.Or(field("/proc/cpuinfo", "model name"), runtime.GOARCH), runtime.NumCPU(), memory()),
		fmt.Sprintf("%s, kernel %s, %s", cmp.Or(strings.Trim(field("/etc/os-release", "PRETTY_NAME"), `"`), runtime.GOOS),
			cmp.Or(content("/proc/sys/kernel/osrelease"), "unknown"), runtime.Version()),
	}
}

func memory() string {
	kib, err := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"))
	if err != nil {
		return "an unknown amount"
	}
	return fmt.Sprintf("%d GiB", (kib+1<<19)>>20)
}

// field is what a file says of a name, before a colon or an equals sign; empty
// if there is no such thing.
func field(path, name string) string {
	for line := range strings.Lines(content(path)) {
		key, value, _ := strings.Cut(strings.Replace(line, "=", ":", 1), ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func content(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
