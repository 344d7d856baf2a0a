package breach_test

import (
	"crypto/sha256"
	"encoding/binary"
)

// forge returns a filter file of data and of table, filled up with zeros, with
// the checksum that makes it whole.
func forge(data, table []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("GHBREACH"), 1)
	b = binary.LittleEndian.AppendUint32(b, 1024)
	b = append(b, data...)
	b = append(b, table...)
	b = append(b, make([]byte, 32*1024-len(table)+16)...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}
