package fake

// Fields are those of a request after its check: strings, int64, float64, bool, *Payload, []string, []int64, Fields and []any. Null
// ones are left out, instants are milliseconds, ids have their one spelling.
type Fields map[string]any

func (f Fields) has(name string) bool {
	_, has := f[name]
	return has
}

func (f Fields) text(name string) (value string, given bool) {
	value, given = f[name].(string)
	return value, given
}

func (f Fields) textOrNil(name string) *string {
	if value, given := f.text(name); given {
		return &value
	}
	return nil
}

func (f Fields) integer(name string, otherwise int64) int64 {
	if value, given := f[name].(int64); given {
		return value
	}
	return otherwise
}

func (f Fields) integerOrNil(name string) *int64 {
	if value, given := f[name].(int64); given {
		return &value
	}
	return nil
}

func (f Fields) isTrue(name string) bool {
	value, _ := f[name].(bool)
	return value
}

// texts is empty and not nil for a field that was left out, so that it is shown as a list.
func (f Fields) texts(name string) []string {
	texts := []string{}
	for _, each := range f.list(name) {
		texts = append(texts, each.(string))
	}
	return texts
}

// integers is nil for a field that was left out.
func (f Fields) integers(name string) []int64 {
	if !f.has(name) {
		return nil
	}
	integers := []int64{}
	for _, each := range f.list(name) {
		integers = append(integers, each.(int64))
	}
	return integers
}

func (f Fields) list(name string) []any {
	list, _ := f[name].([]any)
	return list
}

// items is a list of objects.
func (f Fields) items(name string) []Fields {
	items := []Fields{}
	for _, each := range f.list(name) {
		items = append(items, each.(Fields))
	}
	return items
}

// data is the payload of a push; one that was left out is an empty object, and null is nil.
func (f Fields) data() *Payload {
	if !f.has("data") {
		return &Payload{"{}", 1}
	}
	data, _ := f["data"].(*Payload)
	return data
}
