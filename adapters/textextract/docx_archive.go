package textextract

import (
	"archive/zip"
	"bytes"
	"strings"

	"lectern/domain"
)

const (
	docxRatioFrom = 1 << 20                                                        // bytes unpacked below which no ratio is suspect
	oleMagic      = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"                             // of .doc, and of a .docx under a password
	oleEncrypted  = "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00" // a stream's name, in UTF-16
	zipDirEntry   = "PK\x01\x02"                                                   // begins each entry of an archive's directory
	zipEncrypted  = 1                                                              // an entry's flag
)

// docxArchive is a DOCX whose directory is within the limits.
type docxArchive struct {
	files map[string]*zip.File // by partName
	types []docxType
	main  string // the part with the text
	limit int64  // bytes that may be unpacked
	left  int64  // of these
}

// openDOCX reads the archive's directory and finds the part with the text.
// DOCUMENT_ENCRYPTED where there is a password; DOCUMENT_UNREADABLE where it
// is no Word document or one past the limits of o.
func openDOCX(content []byte, o Options) (*docxArchive, error) {
	if bytes.HasPrefix(content, []byte(oleMagic)) {
		return nil, docxOLEError(content)
	}
	// Counted before the directory is read, which takes memory for each entry.
	if n := bytes.Count(content, []byte(zipDirEntry)); n > o.MaxEntries {
		return nil, unreadable("this Word document consists of %d files, the limit is %d: save it anew with fewer pictures", n, o.MaxEntries)
	}
	directory, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, damagedDOCX(err)
	}
	if err := checkDirectory(directory.File, int64(len(content)), o); err != nil {
		return nil, err
	}
	a := &docxArchive{files: make(map[string]*zip.File, len(directory.File)), limit: o.MaxUnpackedBytes, left: o.MaxUnpackedBytes}
	for _, file := range directory.File {
		a.files[partName(file.Name)] = file
	}
	if err := a.findMain(); err != nil {
		return nil, err
	}
	return a, nil
}

func docxOLEError(content []byte) error {
	if bytes.Contains(content, []byte(oleEncrypted)) {
		return encryptedDOCX()
	}
	return unreadable("this is not a DOCX but a file of an older Word (.doc): open it in Word, save it as .docx and upload that")
}

func encryptedDOCX() error {
	return domain.Errorf(domain.ReasonDocumentEncrypted,
		"this Word document is protected by a password: remove the password and upload it again")
}

func damagedDOCX(err error) error {
	return because(unreadable("this Word document is damaged or incomplete: check that it opens in Word, then save it again as .docx"), err)
}

func checkDirectory(files []*zip.File, packed int64, o Options) error {
	left := uint64(o.MaxUnpackedBytes)
	for _, file := range files {
		switch {
		case file.Flags&zipEncrypted != 0:
			return encryptedDOCX()
		case file.UncompressedSize64 > left:
			return tooMuchUnpacked(o.MaxUnpackedBytes)
		case tooDense(file.UncompressedSize64, file.CompressedSize64, o.MaxRatio):
			return suspectDOCX(o.MaxRatio)
		}
		left -= file.UncompressedSize64
	}
	// Entries may share their packed bytes, so that each looks innocent.
	if tooDense(uint64(o.MaxUnpackedBytes)-left, uint64(packed), o.MaxRatio) {
		return suspectDOCX(o.MaxRatio)
	}
	return nil
}

func tooDense(unpacked, packed uint64, ratio int64) bool {
	return unpacked > docxRatioFrom && unpacked/uint64(ratio) > packed
}

func tooMuchUnpacked(limit int64) *domain.Error {
	return unreadable("this Word document unpacks to more than %d MiB: make its pictures smaller, or split it and upload the parts", limit>>20)
}

func suspectDOCX(ratio int64) *domain.Error {
	return unreadable("this Word document unpacks to more than %d times its size, as no ordinary one does: open it in Word and save it anew", ratio)
}

// partName folds a part's name: the names do not tell upper from lower case.
func partName(name string) string {
	return strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(name, `\`, "/"), "/"))
}
