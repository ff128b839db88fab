module sluice/tools/servers/crds

go 1.25.0

require (
	github.com/external-secrets/external-secrets v1.3.2
	github.com/kubeflow/spark-operator/v2 v2.3.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
	istio.io/api v1.27.1
)
