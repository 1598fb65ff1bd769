package natsbroker

import (
	"cmp"
	"fmt"
	"strings"
)

const maxName = 200 // a stream is a folder of this name

// place is what a topic is called on the server.
type place struct{ subject, stream string }

// place tells where a topic is. A stream's name can't have dots.
func (o Options) place(topic string) (place, error) {
	subject := o.TopicPrefix + topic
	if !isSubject(subject) {
		return place{}, fmt.Errorf("the topic %q must have 1 to %d letters, digits and any of - _ . with something between the dots",
			topic, maxName-len(o.TopicPrefix))
	}
	return place{subject, strings.ReplaceAll(subject, ".", "_")}, nil
}

// durable names a group's consumer.
func (o Options) durable(group string) (string, error) {
	name := cmp.Or(o.Groups[group], group)
	if !isDurable(name) {
		return "", fmt.Errorf("the group %q must have 1 to 100 letters, digits, and any of - _", group)
	}
	return name, nil
}

func isDurable(s string) bool { return len(s) <= 100 && isToken(s) }

func isSubject(s string) bool {
	for token := range strings.SplitSeq(s, ".") {
		if !isToken(token) {
			return false
		}
	}
	return len(s) <= maxName
}

func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}
