package domain

import "strings"

// The size of a chunk, in words, and how many of them two neighbours share.
const (
	ChunkWords   = 512
	ChunkOverlap = 50
)

// Chunk is a stretch of a document's text, small enough for a model to read.
type Chunk struct {
	No   int    `json:"chunk_no"` // from 1
	Text string `json:"text"`
}

// Chunks cuts a text into chunks of up to size words, each sharing overlap
// words with the one before. size must be greater than overlap.
func Chunks(t Text, size, overlap int) []Chunk {
	var words []string
	for _, b := range t.Blocks {
		words = append(words, strings.Fields(b.Text)...)
	}
	var chunks []Chunk
	for start := 0; start < len(words); start += size - overlap {
		end := min(start+size, len(words))
		chunks = append(chunks, Chunk{No: len(chunks) + 1, Text: strings.Join(words[start:end], " ")})
		if end == len(words) {
			break
		}
	}
	return chunks
}
