{{- define "syncrollout.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- /* The release's name, with the chart's where it does not hold it already. 40 leaves room for endings. */ -}}
{{- define "syncrollout.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "syncrollout.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "syncrollout.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "syncrollout.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "syncrollout.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "syncrollout.selector" -}}
app.kubernetes.io/name: {{ include "syncrollout.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- /* Whether the API server is asked who somebody is; empty where it is not. */ -}}
{{- define "syncrollout.reviews" -}}
{{- if or (and .Values.ui.enabled .Values.ui.review) (and .Values.alertmanager.enabled .Values.alertmanager.review) .Values.monitoring.review }}yes{{ end }}
{{- end }}

{{- /* Whether the page is served to others than who forwards its port; empty where it is not. */ -}}
{{- define "syncrollout.page" -}}
{{- if and .Values.ui.enabled (or .Values.ui.tokenSecret .Values.ui.review) }}yes{{ end }}
{{- end }}

{{- define "syncrollout.subject" -}}
- kind: ServiceAccount
  name: {{ include "syncrollout.fullname" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* Names as a list of CEL; the schema lets no quote and no backslash through. */}}
{{- define "syncrollout.celList" -}}
[{{ range $i, $name := . }}{{ if $i }}, {{ end }}'{{ $name }}'{{ end }}]
{{- end }}
