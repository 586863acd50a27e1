// Command refregistry serves an in-memory OCI registry with a referrers API that tells little: no OCI-Subject, no filter, no annotations.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[1], registry.New(registry.WithReferrersSupport(true))))
	os.Exit(1)
}
