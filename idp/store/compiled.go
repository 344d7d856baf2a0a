package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"

	modernc "modernc.org/sqlite"
)

// A connection keeps so many statements, of so many bytes of text each. Nearly all
// texts are constants, fewer and shorter than that; those of an import name
// thousands of values, which would take megabytes.
const (
	mostCompiled = 512
	longest      = 4 << 10
)

// openSQLite opens a pool whose connections compile each statement once: SQLite
// takes about as long to compile one of ours as to run it.
func openSQLite(dsn string) (*sql.DB, error) {
	c, err := modernc.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(compiling{c}), nil
}

var errLacks = errors.New("the SQLite driver lacks what database/sql can use")

type compiling struct{ driver.Connector }

// Connect implements driver.Connector.
func (c compiling) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := raw.(sqliteConn)
	if !ok {
		return nil, errors.Join(errLacks, raw.Close())
	}
	return &compiledConn{sqliteConn: inner, kept: map[string]*compiledStmt{}}, nil
}

// sqliteConn is what the driver's connections can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// compiledConn is a connection with its compiled statements. Like any, it serves
// one caller at a time.
type compiledConn struct {
	sqliteConn
	kept map[string]*compiledStmt
}

type compiledStmt struct {
	stmt sqliteStmt
	open bool // its rows are being read
}

// sqliteStmt is what the driver's statements can do.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// ExecContext implements driver.ExecerContext.
func (c *compiledConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.compiled(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	return s.stmt.ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *compiledConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.compiled(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	rows, err := s.stmt.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.open = true
	return &compiledRows{rows, s}, nil
}

// compiled returns the statement that query is; nil for one that is not kept, or
// whose rows are being read: it cannot run twice at once.
func (c *compiledConn) compiled(ctx context.Context, query string) (*compiledStmt, error) {
	if s := c.kept[query]; s != nil {
		if s.open {
			return nil, nil
		}
		return s, nil
	}
	if len(c.kept) >= mostCompiled || !keepable(query) {
		return nil, nil
	}
	made, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	stmt, ok := made.(sqliteStmt)
	if !ok {
		return nil, errors.Join(errLacks, made.Close())
	}
	s := &compiledStmt{stmt: stmt}
	c.kept[query] = s
	return s, nil
}

// keepable tells whether query is one short statement on rows; what changes the
// schema or the connection runs seldom.
func keepable(query string) bool {
	if len(query) > longest {
		return false
	}
	word, _, _ := strings.Cut(strings.TrimLeft(query, " \t\n"), " ")
	switch word {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		return !strings.Contains(query, ";")
	}
	return false
}

// Close implements driver.Conn. A statement that is left over would keep the
// file open.
func (c *compiledConn) Close() error {
	var errs []error
	for _, s := range c.kept {
		errs = append(errs, s.stmt.Close())
	}
	clear(c.kept)
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

// compiledRows are the rows of a statement that is kept.
type compiledRows struct {
	driver.Rows
	of *compiledStmt
}

// Close implements driver.Rows.
func (r *compiledRows) Close() error {
	r.of.open = false
	return r.Rows.Close()
}
