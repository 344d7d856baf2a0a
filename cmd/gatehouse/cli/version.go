package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version is what this program calls itself; a release build sets it with
// -ldflags "-X gatehouse/cmd/gatehouse/cli.Version=1.2.3".
var Version = "0.1.0-dev"

func newVersion(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version  string `json:"version"`
				Revision string `json:"revision,omitempty"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{Version: Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, set := range info.Settings {
					if set.Key == "vcs.revision" {
						v.Revision = set.Value
					}
				}
			}
			return s.print(v, func(w io.Writer) {
				fmt.Fprintf(w, "gatehouse %s (%s, %s)\n", v.Version, v.Go, v.Platform)
			})
		},
	}
}
