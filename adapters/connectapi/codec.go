package connectapi

import (
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// strictJSON reads JSON and refuses what it does not know. The library's own
// codec drops unknown fields and unknown names of enums, so that a misspelt
// style would quietly become the default one.
type strictJSON struct{ name string }

// strictCodecs take the place of the library's two for JSON.
func strictCodecs() connect.Option {
	return connect.WithOptions(
		connect.WithCodec(strictJSON{"json"}),
		connect.WithCodec(strictJSON{"json; charset=utf-8"}),
	)
}

// Name returns the content type's second half.
func (c strictJSON) Name() string { return c.name }

// Marshal writes a message as protobuf's JSON.
func (strictJSON) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("encode %T: not a protobuf message", message)
	}
	return protojson.Marshal(m)
}

// Unmarshal reads protobuf's JSON; an unknown field or enum name is an error
// that names it.
func (strictJSON) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("decode %T: not a protobuf message", message)
	}
	return protojson.Unmarshal(data, m)
}
