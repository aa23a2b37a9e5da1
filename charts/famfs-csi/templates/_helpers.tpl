{{- define "famfs-csi.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "famfs-csi.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "famfs-csi.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else if hasPrefix (printf "%s-" .Release.Name) (include "famfs-csi.name" .) }}
{{- include "famfs-csi.name" . | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "famfs-csi.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "famfs-csi.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "famfs-csi.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Never change these: a workload's selector is immutable. Takes a component's name. */ -}}
{{- define "famfs-csi.selector" -}}
app.kubernetes.io/name: {{ include "famfs-csi.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* Without the chart's version, so that another chart alone restarts no pod. */ -}}
{{- define "famfs-csi.podLabels" -}}
{{- $own := omit (include "famfs-csi.labels" .root | fromYaml) "helm.sh/chart" }}
{{- $selector := include "famfs-csi.selector" . | fromYaml }}
{{- toYaml (mergeOverwrite (deepCopy .podLabels) $own $selector) }}
{{- end }}

{{- define "famfs-csi.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .appVersion }}
{{- end }}
{{- end }}

{{- /* An image of the Kubernetes project, from where `sidecarRegistry` says. */ -}}
{{- define "famfs-csi.sidecarImage" -}}
{{- with .root.Values.sidecarRegistry }}{{ . }}/{{ end }}{{ include "famfs-csi.image" . }}
{{- end }}

{{- define "famfs-csi.ownImage" -}}
{{ include "famfs-csi.image" (dict "image" .Values.image "appVersion" .Chart.AppVersion) }}
{{- end }}

{{- define "famfs-csi.serviceAccount" -}}
{{- $given := index .root.Values.serviceAccount (printf "%sName" .component) }}
{{- $given | default (printf "%s-%s" (include "famfs-csi.fullname" .root) .component) }}
{{- end }}

{{- /* What the mounter keeps on the host: its socket, and the pools' mounts below `pools`. */ -}}
{{- define "famfs-csi.driverDir" -}}
{{ .Values.stateDir }}/{{ .Values.driver.name }}
{{- end }}

{{- define "famfs-csi.poolsDir" -}}
{{ include "famfs-csi.driverDir" . }}/pools
{{- end }}

{{- define "famfs-csi.pluginDir" -}}
{{ .Values.kubeletDir }}/plugins/{{ .Values.driver.name }}
{{- end }}

{{- /*
The identity that all controllers and mounters of this release share, as a uuid of version 8: the
same on every upgrade, another for a release of another name or namespace.
*/ -}}
{{- define "famfs-csi.systemUuid" -}}
{{- if .Values.systemUuid -}}
{{ .Values.systemUuid | lower }}
{{- else -}}
{{- $hash := printf "famfs-csi/%s/%s" .Release.Namespace .Release.Name | sha256sum -}}
{{ printf "%s-%s-8%s-a%s-%s" (substr 0 8 $hash) (substr 8 12 $hash) (substr 13 16 $hash) (substr 17 20 $hash) (substr 20 32 $hash) }}
{{- end }}
{{- end }}

{{- define "famfs-csi.pullSecrets" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* For every container that needs no privilege. */ -}}
{{- define "famfs-csi.sidecarSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}
