package configs

import "strconv"

// While a config is gathered, the list of brokers that are also consumed is a
// section whose keys are their numbers: so a variable can set one key of one.

// number turns a file's list into such a section.
func (l *loader) number(values map[string]any) {
	broker, _ := values["broker"].(map[string]any)
	switch list := broker["also_consume"].(type) {
	case nil:
	case []any:
		section := make(map[string]any, len(list))
		for i, item := range list {
			section[strconv.Itoa(i)] = item
		}
		broker["also_consume"] = section
	default:
		l.problem(alsoConsume, "must be a list of brokers, each with kind and options")
		delete(broker, "also_consume")
	}
}

// list turns the section into a list again.
func (l *loader) list() {
	section, _ := l.merged.Get(alsoConsume).(map[string]any)
	l.merged.Delete(alsoConsume)
	list := make([]any, len(section))
	for i := range list {
		item, found := section[strconv.Itoa(i)]
		if !found {
			l.problem(alsoConsume, "has %d brokers, but none is number %d: count from 0, without a gap", len(list), i)
			return
		}
		list[i] = item
	}
	if len(list) > 0 {
		l.set(alsoConsume, l.origins[alsoConsume], list)
	}
}
