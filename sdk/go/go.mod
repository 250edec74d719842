module github.com/lntpay/lntpay/sdk/go

go 1.26.0
