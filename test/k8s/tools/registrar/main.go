// The cluster test's csi-node-driver-registrar. The upstream program is no module that the Go proxy
// serves, so this one stands where it stands: it asks the driver for its name, listens on
// <plugin-registration-path>/<driver>-reg.sock, and tells the kubelet that comes there where the
// driver's own socket is. Same flags, as far as the chart uses them.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/kubernetes-csi/csi-lib-utils/connection"
	"github.com/kubernetes-csi/csi-lib-utils/rpc"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

type registrar struct {
	registration.UnsafeRegistrationServer
	info *registration.PluginInfo
}

func (r registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return r.info, nil
}

func (r registrar) NotifyRegistrationStatus(_ context.Context, status *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	if !status.PluginRegistered {
		log.Fatalf("the kubelet refused %s: %s", r.info.Name, status.Error)
	}
	log.Printf("%s is registered", r.info.Name)
	return &registration.RegistrationStatusResponse{}, nil
}

func main() {
	csiAddress := flag.String("csi-address", "/run/csi/socket", "the driver's socket, as seen here")
	kubeletPath := flag.String("kubelet-registration-path", "", "the driver's socket, as the host sees it")
	folder := flag.String("plugin-registration-path", "/registration", "where the kubelet looks for plugins")
	flag.Parse()
	if *kubeletPath == "" {
		log.Fatal("--kubelet-registration-path is missing")
	}
	ctx := context.Background()
	driver, err := connection.ConnectWithoutMetrics(ctx, *csiAddress, connection.WithTimeout(0))
	if err != nil {
		log.Fatal(err)
	}
	name, err := rpc.GetDriverName(ctx, driver)
	if err != nil {
		log.Fatal(err)
	}
	driver.Close()

	socket := filepath.Join(*folder, name+"-reg.sock")
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		log.Fatal(err)
	}
	syscall.Umask(0o077)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	registration.RegisterRegistrationServer(server, registrar{info: &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              name,
		Endpoint:          *kubeletPath,
		SupportedVersions: []string{"1.0.0"},
	}})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		// The listener removes its socket, which is how the kubelet learns that the driver leaves.
		server.Stop()
	}()
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
