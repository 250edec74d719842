package rules

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type target struct {
	Datasource   map[string]string `json:"datasource"`
	Expr         string            `json:"expr"`
	LegendFormat string            `json:"legendFormat"`
}

type panel struct {
	ID         int               `json:"id"`
	Title      string            `json:"title"`
	Datasource map[string]string `json:"datasource"`
	GridPos    struct{ X, Y, W, H int }
	Targets    []target `json:"targets"`
}

type dashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Templating struct {
		List []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Query string `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Panels []panel `json:"panels"`
}

// The dashboards parse, ask for metrics that exist, by a variable data source,
// and no panel lies on another.
func TestDashboards(t *testing.T) {
	t.Parallel()
	names := known(t)
	files, err := filepath.Glob(root + "/deploy/grafana/dashboards/*.json")
	require.NoError(t, err)
	require.Len(t, files, 6)
	// Grafana's own variables, as a query to Prometheus would have them.
	grafana := strings.NewReplacer("$__rate_interval", "5m", "$environment", "production")
	for _, file := range files {
		var d dashboard
		require.NoError(t, json.Unmarshal([]byte(read(t, file)), &d), file)
		require.Equal(t, strings.TrimSuffix(filepath.Base(file), ".json"), d.UID)
		require.NotEmpty(t, d.Title)
		require.Equal(t, "datasource", d.Templating.List[0].Type)
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			require.NotEmpty(t, p.Title, file)
			require.NotEmpty(t, p.Targets, p.Title)
			require.Equal(t, "${datasource}", p.Datasource["uid"], p.Title)
			require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
			for x := range p.GridPos.W {
				for y := range p.GridPos.H {
					cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
					require.Empty(t, taken[cell], "%s: %s lies on another", file, p.Title)
					taken[cell] = p.Title
				}
			}
			for _, one := range p.Targets {
				require.Equal(t, "${datasource}", one.Datasource["uid"], p.Title)
				require.NotEmpty(t, one.LegendFormat, p.Title)
				parse(t, names, grafana.Replace(one.Expr))
			}
		}
	}
}

// The provisioning files and the scrape settings are YAML, and the jobs are
// those that the rules know.
func TestSettingsOfOthers(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"grafana/provisioning/dashboards/lntpay.yaml", "grafana/provisioning/datasources/prometheus.yaml",
	} {
		var content struct {
			APIVersion int `yaml:"apiVersion"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(read(t, root+"/deploy/"+file)), &content), file)
		require.Equal(t, 1, content.APIVersion, file)
	}
	var scraped struct {
		RuleFiles []string `yaml:"rule_files"`
		Scrape    []struct {
			Job string `yaml:"job_name"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, root+"/deploy/prometheus/prometheus.example.yml")), &scraped))
	require.Equal(t, []string{"alerts.yaml"}, scraped.RuleFiles)
	var jobs []string
	for _, one := range scraped.Scrape {
		jobs = append(jobs, one.Job)
	}
	require.Equal(t, []string{"lntpay-api", "lntpay-worker", "lntpay-pods"}, jobs)
}
