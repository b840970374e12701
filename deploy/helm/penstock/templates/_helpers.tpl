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
- {name: PENSTOCK_CANARY__PATH, value: /var/lib/penstock/canary}
- {name: PENSTOCK_PLAUSIBILITY__PATH, value: /var/lib/penstock/plausibility}
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

{{- /* Refuse values with which every pod would fail at its start: the reason comes before anything is installed. */ -}}
{{- define "penstock.refuse" -}}
{{- $streams := default dict .Values.settings.streams -}}
{{- $schemas := default dict .Values.settings.schemas -}}
{{- $sink := default dict .Values.settings.sink -}}
{{- range default list $streams.sources -}}
{{- if not (regexMatch "^(/|https?://)" .) -}}
{{- if ne . "streams.yaml" -}}
{{- fail (printf "settings.streams.sources: %q: the chart writes streams.yaml alone next to the settings. Name that, a path that begins with a slash (in the image or a volume), or a URL." .) -}}
{{- end -}}
{{- if not $.Values.streams -}}
{{- fail "settings.streams.sources names streams.yaml, and `streams` is empty, so no event could be accepted. Declare streams: helm install … --set-file or -f with `streams: {streams: {NAME: {schema_title: TITLE}}}`; docs/STREAMS.md describes them." -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $schemas.base_uris -}}
{{- fail "settings.schemas.base_uris is empty: name the directory of the schemas in the image or a volume, or the URL of a registry." -}}
{{- end -}}
{{- range $schemas.base_uris -}}
{{- if not (regexMatch "^(/|file://|https?://)" .) -}}
{{- fail (printf "settings.schemas.base_uris: %q: next to the settings there are no schemas. Name a path that begins with a slash (in the image or a volume), or a URL." .) -}}
{{- end -}}
{{- end -}}
{{- if and (eq (default "kafka" $sink.kind) "kafka") (not (or (hasKey (default dict $sink.kafka) "bootstrap.servers") (hasKey (default dict $sink.kafka) "metadata.broker.list") .Values.secrets.environment)) -}}
{{- fail "settings.sink.kafka names no brokers: set settings.sink.kafka.\"bootstrap.servers\"." -}}
{{- end -}}
{{- end }}
