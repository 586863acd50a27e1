// Command timestamp serves a timestamp authority with the code of sigstore's timestamp-server, but without its metrics: their port is
// fixed and an error when it is taken, so a host would have room for only one authority.
//
// Usage: timestamp HOST PORT [NAME=VALUE ...], names as the flags of timestamp-server have them.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	// Sets the defaults of the flags.
	_ "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server/app"
	"github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
)

func main() {
	port, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, argument := range os.Args[3:] {
		name, value, _ := strings.Cut(argument, "=")
		viper.Set(name, value)
	}
	authority := server.NewRestAPIServer(os.Args[1], port, []string{"http"}, false, 30*time.Second, 30*time.Second)
	if err := authority.Serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
