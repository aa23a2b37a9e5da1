{{- /*
The pools as `pools.json` has them (src/cli/pools-file.ts), from `pools` and `emulatedFabric`, as
JSON {"pools": [...]}. What a JSON schema cannot say is refused here, by the key's name.
*/ -}}
{{- define "famfs-csi.pools" -}}
{{- $root := . }}
{{- $pools := list }}
{{- $names := dict }}
{{- $devices := dict }}
{{- range $at, $pool := .Values.pools }}
  {{- $key := printf "pools[%d]" $at }}
  {{- if hasKey $names $pool.name }}
    {{- fail (printf "%s.name: %q is given twice (also %s); give each pool its own name" $key $pool.name (get $names $pool.name)) }}
  {{- end }}
  {{- $_ := set $names $pool.name $key }}
  {{- range $which, $device := $pool.devices }}
    {{- $id := $device.path | default (lower ($device.uuid | default "")) }}
    {{- $here := printf "%s.devices[%d]" $key $which }}
    {{- if hasKey $devices $id }}
      {{- fail (printf "%s: %s is given twice (also %s); a device has one pool" $here $id (get $devices $id)) }}
    {{- end }}
    {{- $_ := set $devices $id $here }}
  {{- end }}
  {{- if and (eq ($pool.format | default "never") "ifBlank") $pool.devices (hasKey (first $pool.devices) "uuid") }}
    {{- fail (printf "%s.format: ifBlank is for a first device that is given by its path: blank memory has no uuid" $key) }}
  {{- end }}
  {{- $pools = append $pools (include "famfs-csi.pool" (dict "root" $root "key" $key "pool" $pool) | fromJson) }}
{{- end }}
{{- with .Values.emulatedFabric }}
  {{- if .enabled }}
    {{- if hasKey $names .poolName }}
      {{- fail (printf "emulatedFabric.poolName: %q is given twice (also %s); give each pool its own name" .poolName (get $names .poolName)) }}
    {{- end }}
    {{- $pool := dict "name" .poolName "emulated" (dict "size" .size) }}
    {{- $pools = append $pools (include "famfs-csi.pool" (dict "root" $root "key" "emulatedFabric" "pool" $pool) | fromJson) }}
  {{- end }}
{{- end }}
{{- if not $pools }}
  {{- fail "pools: empty, expected at least one pool; set pools[0].name and pools[0].devices, or emulatedFabric.enabled=true for a first try" }}
{{- end }}
{{- dict "pools" $pools | toJson }}
{{- end }}

{{- define "famfs-csi.pool" -}}
{{- $pool := dict "name" .pool.name "dataPath" (.pool.dataPath | default "auto") }}
{{- if .pool.emulated }}
  {{- $size := include "famfs-csi.bytes" .pool.emulated.size | int64 }}
  {{- if lt $size 12582912 }}
    {{- fail (printf "%s.size: %s is too small, expected 12Mi or more: 2Mi and a log of 8Mi are the pool's own" (eq .key "emulatedFabric" | ternary .key (printf "%s.emulated" .key)) .pool.emulated.size) }}
  {{- end }}
  {{- $emulated := dict "sizeBytes" $size }}
  {{- with .pool.emulated.logSize }}
    {{- $_ := set $emulated "logSizeBytes" (include "famfs-csi.bytes" . | int64) }}
  {{- end }}
  {{- $_ := set $pool "emulated" $emulated }}
  {{- $_ := set $pool "format" "ifBlank" }}
  {{- $path := printf "%s/%s.fabric" .root.Values.emulatedFabric.dir .pool.name }}
  {{- $_ := set $pool "devices" (list (dict "path" $path)) }}
{{- else }}
  {{- $_ := set $pool "format" (.pool.format | default "never") }}
  {{- $_ := set $pool "devices" .pool.devices }}
{{- end }}
{{- toJson $pool }}
{{- end }}

{{- /* `1Gi` in bytes, as digits. The schema has checked the form. */ -}}
{{- define "famfs-csi.bytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 }}
{{- $unit := regexReplaceAll "^[0-9]+" . "" }}
{{- $factors := dict "" 1 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- mul $number (get $factors $unit | int64) }}
{{- end }}

{{- /* "true" where a pool is a file of the host, else "". */ -}}
{{- define "famfs-csi.hasEmulated" -}}
{{- range (include "famfs-csi.pools" . | fromJson).pools }}{{ if .emulated }}true{{ end }}{{ end }}
{{- end }}

{{- /* "true" where a pool is on a dax device, which its mounts reach and the controller does not. */ -}}
{{- define "famfs-csi.hasDevices" -}}
{{- range (include "famfs-csi.pools" . | fromJson).pools }}{{ if not .emulated }}true{{ end }}{{ end }}
{{- end }}
