package app

import (
	"gatehouse/idp"
	"gatehouse/internal/conf"
)

// ReadDeclared reads a file that declares users, groups, clients and resource
// servers, and holds it against the pool of the plan. The error is a
// *conf.Problems when the file can be read at all; or ErrNoProvider.
func ReadDeclared(path string, plan *Plan) (*idp.Bootstrap, error) {
	if plan.Config.IDP == nil {
		return nil, ErrNoProvider
	}
	d := idp.NewDeclared(plan.Config.IDP)
	if _, err := conf.Load(path, d); err != nil {
		return nil, err
	}
	return d.Bootstrap(), nil
}

// Kept returns what the configuration itself declares, which the next start of
// the server would make again.
func Kept(plan *Plan) *idp.Bootstrap { return &plan.Config.IDP.Bootstrap }
