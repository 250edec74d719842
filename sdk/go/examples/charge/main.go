// Command charge asks for 21 sats and waits until they are paid.
package main

import (
	"context"
	"fmt"
	"log"

	lntpay "github.com/lntpay/lntpay/sdk/go"
)

func main() {
	ctx := context.Background()
	client, err := lntpay.New(lntpay.Options{}) // LNTPAY_API_KEY, LNTPAY_BASE_URL
	if err != nil {
		log.Fatal(err)
	}
	charge, err := client.Charges.Create(ctx, lntpay.ChargeParams{AmountMsat: 21 * lntpay.Sat, Description: "one API call"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("pay", charge.Bolt11)
	if charge, err = client.Charges.Wait(ctx, charge.ID); err != nil {
		log.Fatal(err)
	}
	fmt.Println(charge.Status)
}
