#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The command line of uiommufd: what is wrong with it is one line that begins with
# "uiommufd: " and names the word, and exit status 125; no program is started then.
#
#   command.sh UIOMMUFD CLIENT
set -u
uiommufd=$1 client=$2
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
count=0 failed=0

result() { # status, name
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		failed=1
		echo "not ok $count - $2"
		sed 's/^/# /' "$scratch/err"
	fi
}

# bad WORDS ARGUMENT...
bad() {
	words=$1
	shift
	"$uiommufd" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
	[ $? -eq 125 ] && [ "$(wc -l <"$scratch/err")" -eq 1 ] && [ ! -s "$scratch/out" ] &&
		grep -q '^uiommufd: ' "$scratch/err" && grep -qF -- "$words" "$scratch/err"
	result $? "$*"
}

bad_run() { # WORDS OPTION...
	words=$1
	shift
	bad "$words" run "$@" -- echo started
}

# Of a machine description.
bad_json() { # WORDS TEXT
	printf '%s\n' "$2" >"$scratch/machine.json"
	bad_run "$1" --machine "$scratch/machine.json"
}

good() {
	"$uiommufd" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null &&
		[ ! -s "$scratch/err" ]
	result $? "$*"
}

bad 'which command'
bad 'no-such-command' no-such-command
bad 'no arguments' doctor now
bad 'which program' run
bad 'which program' run --
bad "'--no-such-option'" run --no-such-option
bad "'--device'" run --device
bad "'--selftest'" run --selftest=1 -- echo started

bad_run 'needs a model' --device ''
bad_run 'no such device model' --device toaster
bad_run 'NAME=VALUE' --device copy-engine,vram
bad_run '0000:01:00.0: copy-engine: vram=3M' --device copy-engine,vram=3M
bad_run '0000:02:00.0: copy-engine: unknown' --device copy-engine --device copy-engine,x=1
bad_run 'bdf=+1:2:3.0' --device copy-engine,bdf=+1:2:3.0
bad_run 'group= 5' --device 'copy-engine,group= 5'
bad_run 'driver=../x' --device copy-engine,driver=../x
bad_run 'mmio=slow' --device copy-engine,mmio=slow
bad_run '0000:01:00.0: mmio=watch' --device ioat,mmio=watch
bad_run 'iommu=a' --device copy-engine,iommu=a
bad_run 'two devices' -d copy-engine,bdf=01:00.0 -d copy-engine,bdf=0000:01:00.0
bad_run 'needs bdf= and bus=' --device root-port
bad_run 'no such type' --iommu smmu
bad_run 'name=' --iommu vtd,name=
bad_run 'dirty=maybe: on or off' --iommu vtd,dirty=maybe
bad_run 'pasid=-1: a number' --iommu vtd,pasid=-1
bad_run 'reserved=5: FIRST-LAST' --iommu vtd,reserved=5
bad_run 'extension "x"' --extension x
bad_run '--machine' --machine ''
bad_run '/no/such/file' --machine /no/such/file
bad_run '--log' --log=
bad_run '/no/such/file' --log=/no/such/file

# The file, and where in it.
bad_json 'machine.json: line 2' '{'
bad_json 'machine.json: line 2, column 33' '{ "devices":
	[ { "model": "copy-engine" "bdf": "01:00.0" } ] }'
bad_json 'machine.json: "colour"' '{ "devices": [], "colour": 1 }'
bad_json 'machine.json: devices[0]' '{ "devices": [ { "bdf": "01:00.0" } ] }'
bad_json 'devices[1]: copy-engine: bdf=7' \
	'{ "devices": [ { "model": "copy-engine" }, { "model": "copy-engine", "bdf": 7 } ] }'
bad_json '0000:02:00.0: copy-engine: vram=1' \
	'{ "devices": [ { "model": "copy-engine" }, { "model": "copy-engine", "vram": 1 } ] }'
bad_json 'iommus[0]: iommu iommu0: width=x' \
	'{ "devices": [], "iommus": [ { "type": "vtd", "width": "x" } ] }'
bad_json 'extensions[1]' '{ "devices": [], "extensions": [ "compat-p2p", 1 ] }'

# All of docs/machine.md's names.
cat >"$scratch/machine.json" <<'END'
{
  "devices": [
    { "model": "root-port", "bdf": "00:01.0", "bus": "01", "acs": true, "group": 1 },
    { "model": "copy-engine", "bdf": "0000:01:00.0", "group": 1, "acs": false,
      "driver": "none", "iommu": "a", "mmio": "trap", "vram": "64M", "vfs": 1, "pri": 1 },
    { "model": "igb", "mac": "02:00:00:00:00:01", "mmio": "fault" },
    { "model": "ioat", "channels": 2, "iommu": "b" },
    { "model": "dsa", "wqs": 2, "engines": "1", "max-transfer": "1M", "mmio": "trap" }
  ],
  "iommus": [
    { "type": "vtd", "name": "a", "dirty": true, "nesting": "on", "pasid": 20,
      "page-requests": true, "snoop": true, "width": 47, "sw-msi": "on",
      "reserved": [ "0x1000-0x1fff", "0x3000-0x3fff" ] },
    { "type": "amd", "name": "b" }
  ],
  "extensions": [ "multi-range-dmabuf", "compat-p2p", "unlimited-memlock" ]
}
END
good run --machine "$scratch/machine.json" -- true
good run --machine "$scratch/machine.json" --device copy-engine -- true
good run --help
good --help
good --version

"$uiommufd" --help >/dev/full 2>"$scratch/err"
[ $? -eq 125 ] && grep -q 'standard output' "$scratch/err"
result $? 'what cannot be printed'

# What run has to say about the program.
"$uiommufd" run -- "$client" memlock 2>"$scratch/err"
[ $? -eq 0 ] && grep -q 'unlimited-memlock' "$scratch/err"
result $? 'the limit of locked memory'

"$uiommufd" run -- sh -c "'$client' abi32 && '$client' abi32" 2>"$scratch/err"
case $? in
0)
	[ "$(grep -c '32-bit' "$scratch/err")" -eq 1 ]
	result $? 'a 32-bit program, once'
	;;
*) echo "# a 32-bit program: not on this machine" ;;
esac

echo "1..$count"
exit $failed
