{{- define "penstock.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "penstock.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "penstock.labels" -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "penstock.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "penstock.name" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- /* What the chart decides goes above the settings file: one truth for ports and places. */ -}}
{{- define "penstock.environment" -}}
- {name: PENSTOCK_HTTP__LISTEN, value: {{ printf "[\":%d\"]" (int .Values.ports.http) | quote }}}
- {name: PENSTOCK_ADMIN__LISTEN, value: {{ printf ":%d" (int .Values.ports.admin) | quote }}}
- {name: PENSTOCK_WORKERS, value: {{ .Values.workers | quote }}}
- {name: PENSTOCK_DRAIN_S, value: {{ .Values.lifecycle.drainSeconds | quote }}}
- {name: PENSTOCK_SPOOL__PATH, value: /var/lib/penstock/spool}
- {name: PENSTOCK_FETCH__PATH, value: /var/lib/penstock/cache}
- {name: PENSTOCK_SCHEMAS__PREPARED_PATH, value: /var/lib/penstock/schemas}
- {name: PENSTOCK_LOG__STYLE, value: json}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "penstock.eventstreams.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-eventstreams
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "penstock.eventstreams.labels" -}}
{{ include "penstock.eventstreams.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
