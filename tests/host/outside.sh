#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a program sees of the computer that it runs on, against what is there. Output is
# TAP.
#
#   outside.sh UIOMMUFD
set -u

uiommufd=$1
count=0

# is NAME VALUE WANTED
is() {
	count=$((count + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $count - $1"
	else
		echo "# $1: \"$2\" is not \"$3\""
		echo "not ok $count - $1"
	fi
}

list() {
	ls "$1" 2>/dev/null
}

under() {
	"$uiommufd" run "$@" 2>/dev/null
}

ours=$(printf '0000:%s\n' 00:10.0 00:10.1 01:00.0 02:00.0)
both=$( (list /sys/bus/pci/devices && echo "$ours") | sort -u)

is "the machine alone" "$(under -- ls /sys/bus/pci/devices)" "$ours"
is "its groups alone" "$(under -- ls /sys/kernel/iommu_groups | sort -n | tr '\n' ' ')" \
	"1 2 3 4 "
is "its IOMMU alone" "$(under -- ls /sys/class/iommu)" dmar0
is "its drivers alone" "$(under -- ls /sys/bus/pci/drivers)" "$(printf 'pcieport\nvfio-pci')"
is "with the computer's" "$(under --host-devices -- ls /sys/bus/pci/devices)" "$both"
is "the computer's can be read" \
	"$(under --host-devices -- sh -c 'cat /sys/bus/pci/devices/*/vendor' | wc -l)" \
	"$(echo "$both" | wc -l)"
# Where its disks, nets and the like lead.
real=$(for d in /sys/bus/pci/devices/*; do readlink -f "$d"; done | head -1)
is "what is not a list stays" "$(under -- test -e "${real:-/}/." && echo yes)" yes
echo "1..$count"
