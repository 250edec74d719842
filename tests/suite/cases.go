package suite

import "testing"

// test is one of the suite.
type test struct {
	name string
	run  func(*testing.T, *Stack)
}

// alone are the tests that measure: they have the machine to themselves.
var alone = []test{
	{"TestWithdrawalThatTheRecipientRefuses", testWithdrawalThatTheRecipientRefuses},
}

// together are those that run beside others.
var together = []test{
	{"TestPaidCharge", testPaidCharge},
	{"TestOverpaymentIsCreditedInFull", testOverpaymentIsCreditedInFull},
	{"TestExpiryIsDecidedByTheNode", testExpiryIsDecidedByTheNode},
	{"TestCancel", testCancel},
	{"TestCancelRacesPayment", testCancelRacesPayment},
	{"TestOneKeyOneCharge", testOneKeyOneCharge},
	{"TestTerminatedWorkflow", testTerminatedWorkflow},
	{"TestBadRequestsWriteNothing", testBadRequestsWriteNothing},
	{"TestWithdrawal", testWithdrawal},
	{"TestWithdrawalOfAnOpenAmount", testWithdrawalOfAnOpenAmount},
	{"TestOneKeyOneWithdrawal", testOneKeyOneWithdrawal},
	{"TestWithdrawalsThatAreRefused", testWithdrawalsThatAreRefused},
	{"TestBalanceCoversTenOfSixtyFour", testBalanceCoversTenOfSixtyFour},
	{"TestTwoWorkspacesOneInvoice", testTwoWorkspacesOneInvoice},
	{"TestWithdrawalsThatAreHeld", testWithdrawalsThatAreHeld},
	{"TestBookTransfer", testBookTransfer},
	{"TestBookTransferToOneself", testBookTransferToOneself},
	{"TestLimits", testLimits},
	{"TestWebhookIsSignedAndCheap", testWebhookIsSignedAndCheap},
	{"TestFailedDeliveryIsRepeated", testFailedDeliveryIsRepeated},
	{"TestEndpointIsTriedOut", testEndpointIsTriedOut},
	{"TestOperatorRetriesAndCancelsADelivery", testOperatorRetriesAndCancelsADelivery},
	{"TestStreamTellsOfAPayment", testStreamTellsOfAPayment},
	{"TestSandboxPaysACharge", testSandboxPaysACharge},
	{"TestSandboxOverpaysACharge", testSandboxOverpaysACharge},
	{"TestSandboxPaysOnce", testSandboxPaysOnce},
	{"TestSandboxInvoicesThatSettleAndFail", testSandboxInvoicesThatSettleAndFail},
	{"TestSandboxInvoicesThatHold", testSandboxInvoicesThatHold},
	{"TestOperatorFindsWhatWaits", testOperatorFindsWhatWaits},
	{"TestHistories", testHistories},
	{"TestCLI", testCLI},
	{"TestCLIEndsByCtrlC", testCLIEndsByCtrlC},
	{"TestCLIExitCodes", testCLIExitCodes},
	{"TestGoSDK", testGoSDK},
	{"TestGoSDKAdministers", testGoSDKAdministers},
	{"TestGoSDKsProgram", testGoSDKsProgram},
	{"TestGoSDKOnABadNetwork", testGoSDKOnABadNetwork},
	{"TestJavaScriptSDK", testJavaScriptSDK},
	{"TestJavaScriptSDKOnALossyNetwork", testJavaScriptSDKOnALossyNetwork},
	{"TestAnL402TokenIsGoodOncePaid", testAnL402TokenIsGoodOncePaid},
	{"TestL402", testL402},
	{"TestL402Refuses", testL402Refuses},
	{"TestL402Quickstart", testL402Quickstart},
	{"TestQuickstartL402JavaScript", testQuickstartL402JavaScript},
	{"TestGateway", testGateway},
}

// ownNetwork are those that need the nodes of tests/regtest: the shop, which is
// paid over the payer, or channels smaller than the largest charge; or a store
// that may delete, as the product's own role may not.
var ownNetwork = []test{
	{"TestWithdrawalOverAHop", testWithdrawalOverAHop},
	{"TestWithdrawalWhoseFeeLimitIsTooLow", testWithdrawalWhoseFeeLimitIsTooLow},
	{"TestWarnsOfInsufficientInbound", testWarnsOfInsufficientInbound},
	{"TestReconciliation", testReconciliation},
}

// ownNetworkAlone are those of both kinds: it pays more than such channels have.
var ownNetworkAlone = []test{
	{"TestWithdrawalWithoutRoute", testWithdrawalWithoutRoute},
}

// RunAlone runs the tests that measure, one at a time. Nothing else should run.
func RunAlone(t *testing.T, s *Stack) { runAlone(t, s, alone) }

// RunOwnNetworkAlone runs, in the same way, those that need the nodes of
// tests/regtest.
func RunOwnNetworkAlone(t *testing.T, s *Stack) { runAlone(t, s, ownNetworkAlone) }

func runAlone(t *testing.T, s *Stack, tests []test) {
	for _, one := range tests {
		t.Run(one.name, func(t *testing.T) { one.run(t, s) })
	}
}

// RunTogether runs all others but those of RunOwnNetwork, beside each other once the
// caller returns; -parallel says how many at a time.
func RunTogether(t *testing.T, s *Stack) { run(t, s, together) }

// RunOwnNetwork runs those that need the nodes of tests/regtest, in the same way.
func RunOwnNetwork(t *testing.T, s *Stack) { run(t, s, ownNetwork) }

func run(t *testing.T, s *Stack, tests []test) {
	for _, one := range tests {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			one.run(t, s)
		})
	}
}
