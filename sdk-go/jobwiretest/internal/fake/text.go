package fake

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/jobwire/jobwire/sdk-go/internal/wire"
)

func appendJSON(dst []byte, value any) []byte {
	switch value := value.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, value)
	case int:
		return strconv.AppendInt(dst, int64(value), 10)
	case int64:
		return strconv.AppendInt(dst, value, 10)
	case float64:
		return strconv.AppendFloat(dst, value, 'g', -1, 64)
	case Number:
		return append(dst, value...)
	case string:
		return wire.AppendString(dst, value)
	case *Payload:
		if value == nil {
			return append(dst, "null"...)
		}
		return append(dst, value.Text...)
	case Answer:
		return appendAnswer(dst, value)
	case *Object:
		return appendObject(dst, value.names, value.values)
	}
	return appendSlice(dst, value)
}

func appendSlice(dst []byte, value any) []byte {
	switch value := value.(type) {
	case []any:
		return appendList(dst, value)
	case []string:
		return appendList(dst, value)
	case []int64:
		return appendList(dst, value)
	case []int:
		return appendList(dst, value)
	case []Answer:
		return appendList(dst, value)
	}
	panic(fmt.Sprintf("jobwiretest: a %T has no JSON", value))
}

func appendAnswer(dst []byte, answer Answer) []byte {
	names := make([]string, 0, len(answer))
	for name := range answer {
		names = append(names, name)
	}
	slices.Sort(names)
	return appendObject(dst, names, answer)
}

func appendObject(dst []byte, names []string, values map[string]any) []byte {
	dst = append(dst, '{')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendString(dst, name)
		dst = append(dst, ':')
		dst = appendJSON(dst, values[name])
	}
	return append(dst, '}')
}

func appendList[T any](dst []byte, values []T) []byte {
	dst = append(dst, '[')
	for i, value := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, value)
	}
	return append(dst, ']')
}
