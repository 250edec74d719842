package suite

import "testing"

// test is one of the suite.
type test struct {
	name string
	run  func(*testing.T, *Stack)
}

// alone are the tests that measure: they have the machine to themselves.
var alone = []test{
	{"TestWithdrawalWithoutRoute", testWithdrawalWithoutRoute},
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
	{"TestWarnsOfInsufficientInbound", testWarnsOfInsufficientInbound},
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
	{"TestReconciliation", testReconciliation},
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

// overAHop are those that need the shop, which is paid over the payer.
var overAHop = []test{
	{"TestWithdrawalOverAHop", testWithdrawalOverAHop},
	{"TestWithdrawalWhoseFeeLimitIsTooLow", testWithdrawalWhoseFeeLimitIsTooLow},
}

// RunAlone runs the tests that measure, one at a time. Nothing else should run.
func RunAlone(t *testing.T, s *Stack) {
	for _, one := range alone {
		t.Run(one.name, func(t *testing.T) { one.run(t, s) })
	}
}

// RunTogether runs all others that need no shop, beside each other once the
// caller returns; -parallel says how many at a time.
func RunTogether(t *testing.T, s *Stack) { run(t, s, together) }

// RunOverAHop runs those that need the shop, in the same way.
func RunOverAHop(t *testing.T, s *Stack) { run(t, s, overAHop) }

func run(t *testing.T, s *Stack, tests []test) {
	for _, one := range tests {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			one.run(t, s)
		})
	}
}
