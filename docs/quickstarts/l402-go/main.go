// Command l402-go sells a handler at 21 sats a request, by L402.
package main

import (
	"cmp"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	lntpay "github.com/lntpay/lntpay/sdk/go"
	"github.com/lntpay/lntpay/sdk/go/gate"
	"github.com/lntpay/lntpay/sdk/go/l402"
)

func report(w http.ResponseWriter, r *http.Request) {
	payment, _ := gate.PaymentFrom(r.Context())
	_, _ = fmt.Fprintf(w, "{\"temperature\": 21, \"paid_by\": %q}\n", payment.ChargeID)
}

func main() {
	client, err := lntpay.New(lntpay.Options{}) // LNTPAY_API_KEY, LNTPAY_BASE_URL
	if err != nil {
		log.Fatal(err)
	}
	key, err := l402.ParseKey(os.Getenv("LNTPAY_L402_KEY")) // openssl rand -hex 32
	if err != nil {
		log.Fatal(err)
	}
	paid, err := gate.New(gate.Config{Charges: client.Charges, Key: key, Price: gate.Fixed(21 * lntpay.Sat), Once: true})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /report", paid.Handler(http.HandlerFunc(report)))

	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3001"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s/report\n", listener.Addr())
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}
