package configs

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Secret is text that must not be shown: it prints as Hidden.
type Secret string

// Hidden stands for what must not be shown.
const Hidden = "(hidden)"

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Hidden
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// MarshalText implements encoding.TextMarshaler, and so covers JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Login is a section of an adapter's options: who we are to a server. Each part
// is given as it is, which the environment can do (LECTERN_BROKER__OPTIONS__LOGIN__PASSWORD),
// or in a file that holds nothing else, as secrets are mounted.
type Login struct {
	User         string `koanf:"user"`
	UserFile     string `koanf:"user_file"`
	Password     Secret `koanf:"password"`
	PasswordFile string `koanf:"password_file"`
}

// Validate says what is wrong, without a look at the files.
func (l Login) Validate() error {
	var errs []error
	if l.User != "" && l.UserFile != "" {
		errs = append(errs, errors.New("login.user and login.user_file must not be given both"))
	}
	if l.Password != "" && l.PasswordFile != "" {
		errs = append(errs, errors.New("login.password and login.password_file must not be given both"))
	}
	return errors.Join(errs...)
}

// Read returns user and password, each empty if it was not given. A line's end
// at the end of a file is not a part of it.
func (l Login) Read() (user, password string, err error) {
	if user, err = orFile("login.user_file", l.User, l.UserFile); err != nil {
		return "", "", err
	}
	if password, err = orFile("login.password_file", string(l.Password), l.PasswordFile); err != nil {
		return "", "", err
	}
	return user, password, nil
}

// OrFile returns the secret, or, if a file is named instead, what that holds. A
// line's end at the end of the file is not a part of it. key names the option of
// the file.
func (s Secret) OrFile(key, file string) (string, error) { return orFile(key, string(s), file) }

func orFile(key, given, file string) (string, error) {
	if file == "" {
		return given, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}
