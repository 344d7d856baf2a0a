package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

const reportHeader = "line,field,reason\n"

// Report writes refused rows down: line, field and reason, never a value. The
// zero value keeps nothing.
type Report struct {
	file *os.File
	json bool
	at   int64
	// Tell, if any, is told of every refused row as well.
	Tell func(RowError)
}

// OpenReport opens or makes the file of a report, for its owner alone. The
// importer decides whether it begins anew. Format is csv or jsonl.
func OpenReport(path, format string) (*Report, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open report: %w", err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("open report %s: it is not a regular file", path)
	}
	return &Report{file: f, json: format == FormatJSON}, nil
}

// Close closes the file.
func (r *Report) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

func (r *Report) size() int64 { return r.at }

// begin goes to where the report of an import stood; ErrReport when the file is
// no report, which would be lost, or not the one of that import.
func (r *Report) begin(size int64) error {
	if r.file == nil {
		return nil
	}
	head := make([]byte, len(reportHeader))
	n, err := r.file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read report: %w", err)
	}
	if n > 0 && string(head[:n]) != reportHeader && !bytes.HasPrefix(head[:n], []byte(`{"line":`)) {
		return fmt.Errorf("%w: the file holds something else", ErrReport)
	}
	return r.cut(size)
}

// cut goes back to size bytes; ErrReport when there are fewer.
func (r *Report) cut(size int64) error {
	r.at = size
	if r.file == nil {
		return nil
	}
	info, err := r.file.Stat()
	if err != nil {
		return fmt.Errorf("read report: %w", err)
	}
	if info.Size() < size {
		return fmt.Errorf("%w: it has fewer lines; give that one, or begin anew", ErrReport)
	}
	if err := r.file.Truncate(size); err != nil {
		return fmt.Errorf("cut report: %w", err)
	}
	_, err = r.file.Seek(size, io.SeekStart)
	return err
}

// put writes rows down and waits until they are on the disk.
func (r *Report) put(rows []*RowError) error {
	if len(rows) == 0 {
		return nil
	}
	for _, row := range rows {
		if r.Tell != nil {
			r.Tell(*row)
		}
	}
	if r.file == nil {
		return nil
	}
	n, err := r.file.Write(r.text(rows))
	if r.at += int64(n); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return r.file.Sync()
}

func (r *Report) text(rows []*RowError) []byte {
	var b bytes.Buffer
	if !r.json && r.at == 0 {
		b.WriteString(reportHeader)
	}
	for _, row := range rows {
		if r.json {
			raw, err := json.Marshal(row)
			if err != nil {
				panic(fmt.Sprintf("transfer: marshal refusal: %v", err)) // a number and two texts
			}
			b.Write(append(raw, '\n'))
			continue
		}
		b.WriteString(quoteAll(strconv.Itoa(row.Line), row.Field, row.Reason) + "\n")
	}
	return b.Bytes()
}
