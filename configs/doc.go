// Package configs loads the config of a Lectern process: a built-in profile or
// a YAML file, then the environment, then the command line. Loading is strict:
// what it does not know, or can't accept, is an error that names it, and all
// problems of a config are reported at once.
//
// It knows no broker and no cache: which kinds there are it is told, and the
// section `options` of each is the adapter's own to decode. It opens and
// connects nothing.
package configs
