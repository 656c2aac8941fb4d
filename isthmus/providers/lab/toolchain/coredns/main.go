// Command coredns is CoreDNS with the plug-ins that a region's Corefile names.
//
// CoreDNS' own main package has all fifty of them, and with them the SDKs of three clouds and a
// tracer of a fourth: 487 packages more to compile, for names that no region ever looks up there.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func init() {
	// In the order of CoreDNS' plugin.cfg: a request passes them from first to last.
	dnsserver.Directives = []string{"ready", "errors", "cache", "kubernetes"}
}

func main() {
	coremain.Run()
}
