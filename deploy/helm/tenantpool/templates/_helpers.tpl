{{- define "tenantpool.name" -}}
{{ .Release.Name | replace "." "-" | trunc 30 | trimSuffix "-" }}
{{- end }}

{{- define "tenantpool.selector" -}}
app.kubernetes.io/name: tenantpool
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tenantpool.labels" -}}
{{ include "tenantpool.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- /* The configuration as the operator wrote it, and what the pod makes of it. */}}
{{- define "tenantpool.config" -}}
{{- $service := deepCopy (.Values.config.service | default dict) }}
{{- $_ := set $service "name" ($service.name | default (include "tenantpool.name" .)) }}
{{- $own := dict "folder" "/run/tenantpool/sockets" }}
{{- with .Values.tls }}
{{- if .secretName }}
{{- $tls := dict "certificate" "/etc/tenantpool-tls/tls.crt" "key" "/etc/tenantpool-tls/tls.key" }}
{{- if .clientCA }}
{{- $_ := set $tls "client_ca" "/etc/tenantpool-tls/ca.crt" }}
{{- end }}
{{- $_ := set $own "tls" $tls }}
{{- else if not $service.unencrypted }}
{{- fail "set tls.secretName, or config.service.unencrypted: see docs/service.md, Security" }}
{{- end }}
{{- end }}
{{- $_ := mergeOverwrite $service $own }}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) (dict "service" $service)) }}
{{- end }}

{{- define "tenantpool.port" -}}
{{- index (.config.service | default dict) .name | default .default | int }}
{{- end }}

{{- define "tenantpool.grpcPort" -}}
{{ include "tenantpool.port" (dict "config" .Values.config "name" "grpc_port" "default" 7432) }}
{{- end }}

{{- define "tenantpool.gatewayPort" -}}
{{ include "tenantpool.port" (dict "config" .Values.config "name" "gateway_port" "default" 6432) }}
{{- end }}

{{- define "tenantpool.httpPort" -}}
{{ include "tenantpool.port" (dict "config" .Values.config "name" "http_port" "default" 9432) }}
{{- end }}

{{- define "tenantpool.scheme" -}}
{{ empty .Values.tls.secretName | not | ternary "https" "http" }}
{{- end }}

{{- define "tenantpool.probe" -}}
{{- $values := .root.Values }}
{{- if eq $values.probes "exec" }}
exec: {command: [python, /opt/tenantpool/health.py]}
{{- else if eq $values.probes "http" }}
{{- if and $values.tls.secretName $values.tls.clientCA }}
{{- fail "probes: http needs tls.clientCA false: the kubelet has no certificate; take exec" }}
{{- end }}
httpGet: {path: {{ .path }}, port: http, scheme: {{ include "tenantpool.scheme" .root | upper }}}
{{- else }}
{{- if $values.tls.secretName }}
{{- fail "probes: grpc needs a service without TLS: the kubelet does not speak it there; take http" }}
{{- end }}
grpc: {port: {{ include "tenantpool.grpcPort" .root }}}
{{- end }}
{{- end }}
