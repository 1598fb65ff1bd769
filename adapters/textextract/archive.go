package textextract

import (
	"archive/zip"
	"bytes"
	"strings"
)

const (
	archiveRatioFrom = 1 << 20                                                        // bytes unpacked below which no ratio is suspect
	oleMagic         = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"                             // of .doc, .xls and .ppt, and of their successors under a password
	oleEncrypted     = "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00" // a stream's name, in UTF-16
	zipMagic         = "PK\x03\x04"                                                   // begins an archive
	zipDirEntry      = "PK\x01\x02"                                                   // begins each entry of an archive's directory
	zipEncrypted     = 1                                                              // an entry's flag
)

// archive is a document that is a ZIP archive of XML files, whose directory
// is within the limits.
type archive struct {
	packed
	files map[string]*zip.File // by partName
	limit int64                // bytes that may be unpacked
	left  int64                // of these
	opc                        // of DOCX, PPTX and XLSX
}

// openArchive reads the archive's directory. DOCUMENT_ENCRYPTED where there
// is a password; DOCUMENT_UNREADABLE where it is no archive or one past the
// limits of o.
func openArchive(content []byte, p packed, o Options) (*archive, error) {
	if bytes.HasPrefix(content, []byte(oleMagic)) {
		return nil, p.oleError(content)
	}
	// Counted before the directory is read, which takes memory for each entry.
	if n := bytes.Count(content, []byte(zipDirEntry)); n > o.MaxEntries {
		return nil, unreadable("this %s consists of %d files, the limit is %d: save it anew with fewer pictures", p.noun, n, o.MaxEntries)
	}
	directory, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, p.damaged(err)
	}
	if err := p.checkDirectory(directory.File, int64(len(content)), o); err != nil {
		return nil, err
	}
	a := &archive{packed: p, files: make(map[string]*zip.File, len(directory.File)), limit: o.MaxUnpackedBytes, left: o.MaxUnpackedBytes}
	for _, file := range directory.File {
		a.files[partName(file.Name)] = file
	}
	return a, nil
}

func (p packed) checkDirectory(files []*zip.File, size int64, o Options) error {
	left := uint64(o.MaxUnpackedBytes)
	for _, file := range files {
		switch {
		case file.Flags&zipEncrypted != 0:
			return p.encrypted()
		case file.UncompressedSize64 > left:
			return p.tooLarge(o.MaxUnpackedBytes)
		case tooDense(file.UncompressedSize64, file.CompressedSize64, o.MaxRatio):
			return p.suspect(o.MaxRatio)
		}
		left -= file.UncompressedSize64
	}
	// Entries may share their packed bytes, so that each looks innocent.
	if tooDense(uint64(o.MaxUnpackedBytes)-left, uint64(size), o.MaxRatio) {
		return p.suspect(o.MaxRatio)
	}
	return nil
}

func tooDense(unpacked, packed uint64, ratio int64) bool {
	return unpacked > archiveRatioFrom && unpacked/uint64(ratio) > packed
}

// partName folds a part's name: the names do not tell upper from lower case.
func partName(name string) string {
	return strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(name, `\`, "/"), "/"))
}
