package textextract

import (
	"bytes"
	"context"
	"strings"

	"lectern/domain"
)

const (
	maxMediaType  = 1024 // bytes of the part "mimetype" that are read
	mediaTypePart = "mimetype"
	containerPart = "meta-inf/container.xml"
	mediaTypeODT  = "application/vnd.oasis.opendocument.text"
	mediaTypeEPUB = "application/epub+zip"
)

// openAs opens an archive that is to be of a format.
func openAs(ctx context.Context, format domain.Format, content []byte, o Options) (*archive, error) {
	a, err := openArchive(content, packedFormat(format), o)
	if err != nil {
		return nil, err
	}
	found, err := a.find(ctx)
	switch {
	case err != nil:
		return nil, err
	case found != format:
		return nil, a.other(found)
	}
	return a, a.check(ctx)
}

// check refuses what is encrypted in its format's own way.
func (a *archive) check(ctx context.Context) error {
	switch a.format {
	case domain.FormatODT:
		return a.checkODT(ctx)
	case domain.FormatEPUB:
		return a.checkEPUB(ctx)
	default:
		return nil
	}
}

// packedKind tells what an archive holds that nobody gave a format; "" where
// it is none that is known.
func packedKind(ctx context.Context, content []byte, o Options) (domain.Format, error) {
	a, err := openArchive(content, packed{noun: "document", program: "the program it was made with"}, o)
	if err != nil {
		return "", err
	}
	return a.find(ctx)
}

// find tells an archive's format by its media type, or by the part with the
// text that its list of content types names.
func (a *archive) find(ctx context.Context) (domain.Format, error) {
	declared, err := a.mediaType(ctx)
	switch {
	case err != nil:
		return "", err
	case declared == mediaTypeODT, strings.HasPrefix(declared, mediaTypeODT+"-"): // a template, a master document
		return domain.FormatODT, nil
	case declared == mediaTypeEPUB, declared == "" && a.files[containerPart] != nil:
		return domain.FormatEPUB, nil
	}
	return a.findMain(ctx)
}

func (a *archive) mediaType(ctx context.Context) (string, error) {
	if file := a.files[mediaTypePart]; file == nil || file.UncompressedSize64 > maxMediaType {
		return "", nil
	}
	content, err := a.bytes(ctx, mediaTypePart, maxMediaType)
	return string(bytes.TrimSpace(content)), err
}
