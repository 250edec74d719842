package compose

import (
	"archive/tar"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/moby/moby/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Node is an lnd of the project and the keys to all of it.
type Node struct {
	// Name is the service's, and in the certificate.
	Name string
	// Address is host:port of its gRPC. It may be another one after a restart.
	Address string
	// TLSCertFile and MacaroonFile, the admin's, are copies on this machine.
	TLSCertFile, MacaroonFile string
	// Pubkey is its identity in hex.
	Pubkey string
}

// Node gives access to a node that answers: LndMerchant, which is LNTPay's, or
// LndPayer, everybody else's.
func (p *Project) Node(ctx context.Context, service string) (*Node, error) {
	n := &Node{
		Name: service, TLSCertFile: filepath.Join(p.dir, service+".cert"),
		MacaroonFile: filepath.Join(p.dir, service+".macaroon"),
	}
	for from, to := range map[string]string{
		"/lnd/tls.cert": n.TLSCertFile, "/lnd/data/chain/bitcoin/regtest/admin.macaroon": n.MacaroonFile,
	} {
		content, err := p.ReadFile(ctx, service, from)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			return nil, err
		}
	}
	host, err := p.Address(ctx, service, networkLightning)
	if err != nil {
		return nil, err
	}
	n.Address = host + ":10009"
	err = n.With(func(conn *grpc.ClientConn) error {
		return until(ctx, func(ctx context.Context) error {
			info, err := lnrpc.NewLightningClient(conn).GetInfo(ctx, &lnrpc.GetInfoRequest{})
			n.Pubkey = info.GetIdentityPubkey()

			return err
		})
	})

	return n, err
}

// Dial connects to the node as its admin. The caller closes the connection.
func (n *Node) Dial() (*grpc.ClientConn, error) {
	// The certificate has names; the address is a number of the moment.
	creds, err := credentials.NewClientTLSFromFile(n.TLSCertFile, n.Name)
	if err != nil {
		return nil, err
	}
	macaroon, err := os.ReadFile(n.MacaroonFile)
	if err != nil {
		return nil, err
	}

	return grpc.NewClient(n.Address, grpc.WithTransportCredentials(creds),
		grpc.WithPerRPCCredentials(macaroonHex(hex.EncodeToString(macaroon))))
}

// With calls f with a connection of the admin.
func (n *Node) With(f func(*grpc.ClientConn) error) error {
	conn, err := n.Dial()
	if err != nil {
		return err
	}

	return errors.Join(f(conn), conn.Close())
}

// macaroonHex sends a macaroon with every call.
type macaroonHex string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (m macaroonHex) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"macaroon": string(m)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (macaroonHex) RequireTransportSecurity() bool { return true }

// ReadFile reads a file of a service's container, its volumes too.
func (p *Project) ReadFile(ctx context.Context, service, path string) (content []byte, err error) {
	err = p.read(ctx, service, path, func(header *tar.Header, from io.Reader) error {
		if header.Typeflag == tar.TypeReg {
			content, err = io.ReadAll(from)
		}

		return err
	})

	return content, err
}

// ReadFolder gives what is in a folder of a service's container, by name.
func (p *Project) ReadFolder(ctx context.Context, service, path string) (map[string]*tar.Header, error) {
	files := map[string]*tar.Header{}
	err := p.read(ctx, service, path, func(header *tar.Header, _ io.Reader) error {
		if header.Typeflag != tar.TypeDir {
			files[filepath.Base(header.Name)] = header
		}

		return nil
	})

	return files, err
}

// read calls f for each entry of what the daemon packs of a path.
func (p *Project) read(ctx context.Context, service, path string, f func(*tar.Header, io.Reader) error) error {
	found, err := p.find(ctx, service)
	if err != nil {
		return err
	}
	copied, err := p.docker.CopyFromContainer(ctx, found.ID, client.CopyFromContainerOptions{SourcePath: path})
	if err != nil {
		return fmt.Errorf("read %s of %s: %w", path, service, err)
	}
	defer func() { _ = copied.Content.Close() }()
	archive := tar.NewReader(copied.Content)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f(header, archive)
		}
		if err != nil {
			return fmt.Errorf("read %s of %s: %w", path, service, err)
		}
	}
}

// WaitChannels waits until the payer's and the merchant's channels can carry a
// payment each way, as after a restart.
func (p *Project) WaitChannels(ctx context.Context) error {
	for from, to := range map[string]string{LndPayer: LndMerchant, LndMerchant: LndPayer} {
		one, err := p.Node(ctx, from)
		if err != nil {
			return err
		}
		other, err := p.Node(ctx, to)
		if err != nil {
			return err
		}
		err = one.With(func(conn *grpc.ClientConn) error {
			return until(ctx, func(ctx context.Context) error { return usable(ctx, conn, other.Pubkey) })
		})
		if err != nil {
			return fmt.Errorf("channels of %s: %w", from, err)
		}
	}

	return nil
}

// routeSats is the amount that a route is asked for.
const routeSats = 1000

// usable is one look: all channels are active, and there is a route.
func usable(ctx context.Context, conn *grpc.ClientConn, to string) error {
	lnd := lnrpc.NewLightningClient(conn)
	answer, err := lnd.ListChannels(ctx, &lnrpc.ListChannelsRequest{})
	if err != nil {
		return err
	}
	for _, channel := range answer.Channels {
		if !channel.Active {
			return fmt.Errorf("channel %d is not active", channel.ChanId)
		}
	}
	_, err = lnd.QueryRoutes(ctx, &lnrpc.QueryRoutesRequest{PubKey: to, Amt: routeSats})

	return err
}
