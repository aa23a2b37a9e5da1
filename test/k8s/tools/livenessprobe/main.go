// The cluster test's livenessprobe, for the reason that the registrar has: /healthz on --health-port
// answers 200 while the driver's Probe says that it is ready.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/kubernetes-csi/csi-lib-utils/connection"
	"github.com/kubernetes-csi/csi-lib-utils/rpc"
)

func main() {
	csiAddress := flag.String("csi-address", "/run/csi/socket", "the driver's socket")
	port := flag.String("health-port", "9808", "port of /healthz")
	timeout := flag.Duration("probe-timeout", 3*time.Second, "patience with one probe")
	flag.Parse()

	driver, err := connection.ConnectWithoutMetrics(context.Background(), *csiAddress, connection.WithTimeout(0))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/healthz", func(answer http.ResponseWriter, request *http.Request) {
		ctx, cancel := context.WithTimeout(request.Context(), *timeout)
		defer cancel()
		ready, err := rpc.Probe(ctx, driver)
		switch {
		case err != nil:
			http.Error(answer, err.Error(), http.StatusInternalServerError)
		case !ready:
			http.Error(answer, "the driver is not ready", http.StatusInternalServerError)
		default:
			answer.Write([]byte("ok"))
		}
	})
	log.Fatal(http.ListenAndServe(net.JoinHostPort("", *port), nil))
}
