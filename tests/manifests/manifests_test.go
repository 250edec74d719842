// Package manifests_test holds deploy/kubernetes against the types of Kubernetes
// and against the product, without a cluster.
package manifests_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const folder = "../../deploy/kubernetes"

// kinds are the types that the manifests may have.
var kinds = map[string]func() any{
	"v1/Namespace": func() any { return &corev1.Namespace{} }, "v1/ServiceAccount": func() any { return &corev1.ServiceAccount{} },
	"v1/ConfigMap": func() any { return &corev1.ConfigMap{} }, "v1/Secret": func() any { return &corev1.Secret{} },
	"v1/Service": func() any { return &corev1.Service{} }, "apps/v1/Deployment": func() any { return &appsv1.Deployment{} },
	"batch/v1/Job": func() any { return &batchv1.Job{} }, "policy/v1/PodDisruptionBudget": func() any { return &policyv1.PodDisruptionBudget{} },
	"networking.k8s.io/v1/Ingress":       func() any { return &networkingv1.Ingress{} },
	"networking.k8s.io/v1/NetworkPolicy": func() any { return &networkingv1.NetworkPolicy{} },
}

type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct{ Name, Namespace string }
}

// objects are all of the folder's, by kind and name; a field that Kubernetes
// does not know is an error.
func objects(t *testing.T) map[string]any {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.yaml")
	require.NoError(t, err)
	all := map[string]any{}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
			var h head
			require.NoError(t, yaml.Unmarshal(document, &h), file)
			empty, known := kinds[h.APIVersion+"/"+h.Kind]
			require.True(t, known, "%s: %s %s", file, h.APIVersion, h.Kind)
			object := empty()
			require.NoError(t, yaml.UnmarshalStrict(document, object), file)
			name := h.Kind + "/" + h.Metadata.Name
			require.NotContains(t, all, name)
			all[name] = object
			if h.Kind != "Namespace" {
				require.Equal(t, "lntpay", h.Metadata.Namespace, name)
			}
		}
	}

	return all
}

// get is one object.
func get[T any](t *testing.T, all map[string]any, name string) T {
	t.Helper()
	require.Contains(t, all, name)
	object, ok := all[name].(T)
	require.True(t, ok, name)

	return object
}

// pods are the templates of what runs, by component.
func pods(t *testing.T, all map[string]any) map[string]corev1.PodTemplateSpec {
	t.Helper()

	return map[string]corev1.PodTemplateSpec{
		"api":     get[*appsv1.Deployment](t, all, "Deployment/lntpay-api").Spec.Template,
		"worker":  get[*appsv1.Deployment](t, all, "Deployment/lntpay-worker").Spec.Template,
		"migrate": get[*batchv1.Job](t, all, "Job/lntpay-migrate").Spec.Template,
	}
}

// settings are the defaults by variable, from the page that is generated from
// package config (importing it would bring all that lnd needs into this module).
func settings(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	all := map[string]string{}
	rows := regexp.MustCompile("(?m)^\\| `[a-z0-9_.]+`<br>`([A-Z0-9_]+)` \\| `?([^|`]*)`? \\|").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(rows), 40)
	for _, row := range rows {
		all[row[1]] = row[2]
		all[strings.Replace(row[1], "_SANDBOX_", "_PRODUCTION_", 1)] = row[2]
	}

	return all
}

// variables are what a container's environment sets.
func variables(t *testing.T, all map[string]any, container corev1.Container) map[string]string {
	t.Helper()
	set := map[string]string{}
	for _, from := range container.EnvFrom {
		maps.Copy(set, get[*corev1.ConfigMap](t, all, "ConfigMap/"+from.ConfigMapRef.Name).Data)
	}
	for _, variable := range container.Env {
		set[variable.Name] = variable.Value
	}

	return set
}

// Kustomization names every file that is no example, and no other.
func TestKustomization(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(folder + "/kustomization.yaml")
	require.NoError(t, err)
	var kustomization struct{ Resources []string }
	require.NoError(t, yaml.Unmarshal(text, &kustomization))
	files, err := filepath.Glob(folder + "/*.yaml")
	require.NoError(t, err)
	var want []string
	for _, file := range files {
		if name := filepath.Base(file); !strings.Contains(name, ".example.") && name != "kustomization.yaml" {
			want = append(want, name)
		}
	}
	require.ElementsMatch(t, want, kustomization.Resources)
}

// Every variable is a setting, every file that one names is mounted from a
// secret that the example has, and nothing else of a pod's is writable or more
// than it needs to be.
func TestPods(t *testing.T) {
	t.Parallel()
	all := objects(t)
	settings := settings(t)
	for component, pod := range pods(t, all) {
		t.Run(component, func(t *testing.T) {
			require.Len(t, pod.Spec.Containers, 1)
			container := pod.Spec.Containers[0]
			require.Equal(t, []string{component}, container.Args)
			require.Equal(t, component, pod.Labels["app.kubernetes.io/component"])
			for name, value := range variables(t, all, container) {
				require.Contains(t, settings, name)
				if strings.HasSuffix(name, "_FILE") && isUsed(component, name) {
					requireMounted(t, all, pod.Spec, value)
				}
			}
			restricted(t, all, pod.Spec)
		})
	}
}

// isUsed: the migration shares the api's settings and reads two of them.
func isUsed(component, variable string) bool {
	return component != "migrate" || strings.HasSuffix(variable, "DATABASE_URL_FILE")
}

// requireMounted finds a path in a secret.
func requireMounted(t *testing.T, all map[string]any, pod corev1.PodSpec, path string) {
	t.Helper()
	for _, mount := range pod.Containers[0].VolumeMounts {
		key, inside := strings.CutPrefix(path, mount.MountPath+"/")
		if !inside {
			continue
		}
		require.True(t, mount.ReadOnly)
		at := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		require.GreaterOrEqual(t, at, 0, mount.Name)
		secret := get[*corev1.Secret](t, all, "Secret/"+pod.Volumes[at].Secret.SecretName)
		_, text := secret.StringData[key]
		_, binary := secret.Data[key]
		require.True(t, text || binary, "%s has no %s", secret.Name, key)

		return
	}
	t.Errorf("%s is not mounted", path)
}

// restricted is Kubernetes' own profile of that name, and more.
func restricted(t *testing.T, all map[string]any, pod corev1.PodSpec) {
	t.Helper()
	require.False(t, *pod.AutomountServiceAccountToken)
	require.Contains(t, all, "ServiceAccount/"+pod.ServiceAccountName)
	require.True(t, *pod.SecurityContext.RunAsNonRoot)
	require.EqualValues(t, 65532, *pod.SecurityContext.RunAsUser, "the image's user")
	require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
	container := pod.Containers[0]
	require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem)
	require.False(t, *container.SecurityContext.AllowPrivilegeEscalation)
	require.Equal(t, []corev1.Capability{"ALL"}, container.SecurityContext.Capabilities.Drop)
	require.NotEmpty(t, container.Resources.Requests.Cpu().String())
	require.False(t, container.Resources.Limits.Memory().IsZero())
	_, tag, tagged := strings.Cut(container.Image, ":")
	require.True(t, tagged && tag != "latest", "the image is pinned")
	for _, volume := range pod.Volumes {
		require.NotNil(t, volume.Secret, volume.Name)
		require.EqualValues(t, 0o440, *volume.Secret.DefaultMode)
	}
}

// Only the worker has what moves money.
func TestOnlyTheWorkerHasMacaroonsAndThePreimageKey(t *testing.T) {
	t.Parallel()
	all := objects(t)
	for component, pod := range pods(t, all) {
		var secrets []string
		for _, volume := range pod.Spec.Volumes {
			secrets = append(secrets, volume.Secret.SecretName)
		}
		holds := slices.Contains(secrets, "lntpay-node") && slices.Contains(secrets, "lntpay-preimage")
		holdsAny := slices.Contains(secrets, "lntpay-node") || slices.Contains(secrets, "lntpay-preimage")
		require.Equal(t, component == "worker", holds, component)
		require.Equal(t, component == "worker", holdsAny, component)
		for name := range variables(t, all, pod.Spec.Containers[0]) {
			if strings.Contains(name, "MACAROON") || strings.Contains(name, "PREIMAGE") {
				require.Equal(t, "worker", component, name)
			}
		}
		require.Equal(t, component == "migrate", slices.Contains(secrets, "lntpay-database-owner"))
	}
}

// A pair of each, which goes one by one; probes and ports are those that the
// process listens on; and it has the time to end that its settings give it.
func TestDeployments(t *testing.T) {
	t.Parallel()
	all := objects(t)
	shutdown, err := strconv.Atoi(settings(t)["LNTPAY_API_SHUTDOWN_TIMEOUT_MS"])
	require.NoError(t, err)
	// What worker/worker.go gives running activities.
	ends := map[string]time.Duration{"api": time.Duration(shutdown) * time.Millisecond, "worker": 15 * time.Second}
	for component, operator := range map[string]string{"api": "LNTPAY_API_OPERATOR_LISTEN", "worker": "LNTPAY_WORKER_OPERATOR_LISTEN"} {
		deployment := get[*appsv1.Deployment](t, all, "Deployment/lntpay-"+component)
		require.EqualValues(t, 2, *deployment.Spec.Replicas)
		require.Zero(t, deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
		require.Equal(t, deployment.Spec.Selector.MatchLabels, deployment.Spec.Template.Labels)
		require.Equal(t, deployment.Spec.Selector, deployment.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector)
		budget := get[*policyv1.PodDisruptionBudget](t, all, "PodDisruptionBudget/lntpay-"+component)
		require.Equal(t, deployment.Spec.Selector, budget.Spec.Selector)
		container := deployment.Spec.Template.Spec.Containers[0]
		set := variables(t, all, container)
		ports := map[string]string{}
		for _, port := range container.Ports {
			ports[port.Name] = fmt.Sprintf("0.0.0.0:%d", port.ContainerPort)
		}
		require.Equal(t, set[operator], ports["operator"])
		if component == "api" {
			require.Equal(t, set["LNTPAY_API_LISTEN"], ports["http"])
		}
		require.Equal(t, strings.TrimPrefix(ports["operator"], "0.0.0.0:"), deployment.Spec.Template.Annotations["prometheus.io/port"])
		require.Equal(t, "/readyz", container.ReadinessProbe.HTTPGet.Path)
		require.Equal(t, "/healthz", container.LivenessProbe.HTTPGet.Path)
		for _, probe := range []*corev1.Probe{container.ReadinessProbe, container.LivenessProbe} {
			require.Equal(t, "operator", probe.HTTPGet.Port.StrVal)
		}
		grace := time.Duration(*deployment.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
		if container.Lifecycle != nil {
			grace -= time.Duration(container.Lifecycle.PreStop.Sleep.Seconds) * time.Second
		}
		require.Greater(t, grace, ends[component])
	}
}

// Nothing comes in or goes out by default; the api reaches no node, and nobody
// but monitoring reaches a worker.
func TestNetworkPolicies(t *testing.T) {
	t.Parallel()
	all := objects(t)
	denied := get[*networkingv1.NetworkPolicy](t, all, "NetworkPolicy/default-deny").Spec
	require.Empty(t, denied.PodSelector.MatchLabels)
	require.Len(t, denied.PolicyTypes, 2)
	require.Empty(t, denied.Ingress)
	require.Empty(t, denied.Egress)
	for component, want := range map[string]struct{ in, out []int32 }{
		"api": {[]int32{8080, 8081}, []int32{5432, 7233}}, "worker": {[]int32{8082}, []int32{5432, 7233, 10009, 0}}, "migrate": {nil, []int32{5432}},
	} {
		policy := get[*networkingv1.NetworkPolicy](t, all, "NetworkPolicy/"+component).Spec
		require.Equal(t, pods(t, all)[component].Labels, policy.PodSelector.MatchLabels)
		var in, out []int32
		for _, rule := range policy.Ingress {
			require.NotEmpty(t, rule.From, "from somewhere, not from everywhere")
			for _, port := range rule.Ports {
				in = append(in, port.Port.IntVal)
			}
		}
		for _, rule := range policy.Egress {
			require.NotEmpty(t, rule.To)
			for _, port := range rule.Ports {
				if port.Port == nil {
					require.NotNil(t, rule.To[0].IPBlock, "every port only of the internet")
					out = append(out, 0)

					continue
				}
				out = append(out, port.Port.IntVal)
			}
		}
		require.Equal(t, want.in, in, component)
		require.Equal(t, want.out, out, component)
	}
}

// The Service and the Ingress lead to the api's public port.
func TestServiceLeadsToTheAPI(t *testing.T) {
	t.Parallel()
	all := objects(t)
	service := get[*corev1.Service](t, all, "Service/lntpay-api")
	require.Equal(t, pods(t, all)["api"].Labels, service.Spec.Selector)
	require.Len(t, service.Spec.Ports, 1)
	require.Equal(t, "http", service.Spec.Ports[0].TargetPort.StrVal)
	ingress := get[*networkingv1.Ingress](t, all, "Ingress/lntpay-api")
	backend := ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service
	require.Equal(t, service.Name, backend.Name)
	require.Equal(t, service.Spec.Ports[0].Name, backend.Port.Name)
	require.NotEmpty(t, ingress.Spec.TLS)
}
