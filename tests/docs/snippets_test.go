package docs_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goLines are the lines of Go that pages show, in an indented block that begins
// so, and what has to be around them to run them. A request for what is sold is
// answered 402.
var goLines = []struct {
	page, begins  string
	before, after string
	// module is where the program's imports are found.
	module string
	says   string
}{
	{
		page: "README.md", begins: "client, err := lntpay.New(",
		before: "ctx := context.Background()", after: "check(err); fmt.Println(charge.Status)", says: "paid",
	},
	{
		page: "docs/sandbox.md", begins: "client.Sandbox.PayCharge(",
		before: "ctx := context.Background(); client, err := lntpay.New(lntpay.Options{}); check(err); charge := lntpay.Charge{ID: \"ch_1\"}",
		after:  `fmt.Println("asked")`, says: "asked",
	},
	{page: "docs/l402.md", begins: "client, err := lntpay.New(", before: report, after: buy, says: "402"},
	{page: "sdk/go/README.md", begins: "key, err := l402.ParseKey(", before: report + client, after: buy, says: "402"},
	{
		page: "docs/l402.md", begins: "router.GET(", module: "sdk/go/gingate",
		before: client + gated + `router := gin.New(); http.Handle("/", router); report := func(c *gin.Context) {}`, after: buy, says: "402",
	},
}

// Parts of the programs.
const (
	report = "report := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})\n"
	client = "client, err := lntpay.New(lntpay.Options{}); check(err)\n"
	gated  = `key, err := l402.ParseKey(os.Getenv("LNTPAY_L402_KEY")); check(err)
	paid, err := gate.New(gate.Config{Charges: client.Charges, Key: key, Price: gate.Fixed(21_000)}); check(err)
`
	buy = `check(err)
	answer := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(answer, httptest.NewRequest("GET", "/report", nil))
	fmt.Println(answer.Code)
`
)

// TestGoLinesRun: what pages show of Go is no program, but runs in one.
func TestGoLinesRun(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := map[string]string{http.MethodPost: "pending", http.MethodGet: "paid"}[r.Method]
		_, _ = io.WriteString(w, `{"id":"ch_01m829m1ezf6p8497reqzrs9mv","status":"`+status+`","amount_msat":21000,"bolt11":"lnbcrt210n1","payment_hash":"`+
			strings.Repeat("ab", 32)+`"}`)
	}))
	t.Cleanup(api.Close)
	for _, lines := range goLines {
		t.Run(lines.page+" "+lines.begins, func(t *testing.T) {
			t.Parallel()
			block := regexp.MustCompile(`(?m)^    ` + regexp.QuoteMeta(lines.begins) + `.*\n(?:    .*\n)*`).FindString(read(t, lines.page))
			require.NotEmpty(t, block)
			// A page may show the same in another language below.
			block, _, _ = strings.Cut(block, "\n    await ")
			output := runGo(t, lines.module, api.URL, lines.before+"\n"+block+"\n"+lines.after)
			require.Equal(t, lines.says+"\n", output)
		})
	}
}

// runGo runs the lines of a main function, with what they use imported.
func runGo(t *testing.T, module, baseURL, lines string) string {
	t.Helper()
	var imports strings.Builder
	for name, path := range map[string]string{
		"context": "context", "fmt": "fmt", "http": "net/http", "httptest": "net/http/httptest", "os": "os",
		"lntpay": "github.com/lntpay/lntpay/sdk/go", "gate": "github.com/lntpay/lntpay/sdk/go/gate",
		"l402": "github.com/lntpay/lntpay/sdk/go/l402", "gingate": "github.com/lntpay/lntpay/sdk/go/gingate", "gin": "github.com/gin-gonic/gin",
	} {
		if regexp.MustCompile(`\b` + name + `\.[A-Z]`).MatchString(lines) {
			fmt.Fprintf(&imports, "import %s %q\n", name, path)
		}
	}
	program := "package main\n" + imports.String() + "func check(err error) { if err != nil { panic(err) } }\nfunc main() {\n" + lines + "\n}\n"
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
	run := exec.CommandContext(t.Context(), "go", "run", file)
	run.Dir = filepath.Join(root, module)
	run.Env = append(os.Environ(), "GIN_MODE=release", "LNTPAY_API_KEY=k", "LNTPAY_BASE_URL="+baseURL, "LNTPAY_L402_KEY="+strings.Repeat("4a", 32))
	var complaints strings.Builder
	run.Stderr = &complaints
	output, err := run.Output()
	require.NoError(t, err, "%s\n%s", program, &complaints)

	return string(output)
}
