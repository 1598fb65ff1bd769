package textextract

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"golang.org/x/net/html/charset"
)

// read calls visit with the part's outermost element; not at all where there
// is no such part.
func (a *archive) read(ctx context.Context, name string, visit func(*xmlReader, xml.StartElement) error) error {
	return a.open(ctx, name, func(part io.Reader) error {
		decoder := xml.NewDecoder(part)
		decoder.CharsetReader = charset.NewReaderLabel
		decoder.Entity = xml.HTMLEntity
		x := &xmlReader{ctx: ctx, decoder: decoder}
		return x.element(visit)
	})
}

// bytes returns what a part holds, which must be no more than limit; nothing
// where there is no such part.
func (a *archive) bytes(ctx context.Context, name string, limit int64) (content []byte, err error) {
	err = a.open(ctx, name, func(part io.Reader) error {
		content, err = io.ReadAll(io.LimitReader(part, limit+1))
		if int64(len(content)) > limit {
			return tooMuchText(limit)
		}
		return err
	})
	return content, err
}

// open lends a part to use; not at all where there is no such part.
func (a *archive) open(ctx context.Context, name string, use func(io.Reader) error) error {
	file := a.files[name]
	if file == nil {
		return nil
	}
	unpacked, err := file.Open()
	if err != nil {
		return a.damaged(err)
	}
	defer func() { _ = unpacked.Close() }() // it has nothing left to report
	part := &archivePart{ctx: ctx, unpacked: unpacked, archive: a}
	err = use(part)
	if err == nil {
		_, err = io.Copy(io.Discard, part) // the checksum is compared at the end
	}
	return a.verdict(ctx, err)
}

// verdict tells an interruption from what the document is to blame for.
func (a *archive) verdict(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errTooSlow):
		return a.tooSlow()
	case ctx.Err() != nil:
		return fmt.Errorf("read %s: %w", a.format, context.Cause(ctx))
	case err == nil, isDomainError(err):
		return err
	}
	return a.damaged(err)
}

// archivePart reads a part within the archive's limits.
type archivePart struct {
	ctx      context.Context //nolint:containedctx // of one reading
	unpacked io.Reader
	archive  *archive
	run      int // bytes since the last "<"
}

// Read implements io.Reader.
func (p *archivePart) Read(buf []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.unpacked.Read(buf)
	if at := bytes.LastIndexByte(buf[:n], '<'); at >= 0 {
		p.run = n - at
	} else {
		p.run += n
	}
	p.archive.left -= int64(n)
	switch {
	case p.archive.left < 0:
		return 0, p.archive.tooLarge(p.archive.limit)
	case p.run > xmlMaxToken:
		return 0, p.archive.damaged(errLongToken)
	}
	return n, err
}
