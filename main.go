// Command lntpay is the whole product in one binary.
package main

func main() {}
