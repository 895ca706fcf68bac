#!/bin/bash
# SPDX-License-Identifier: MIT
#
# /sys and /dev as scripts use them, under `uiommufd run`: reading, walking, binding and
# unbinding by redirections, and what is refused. bash, since dash does not say which error
# a write gave. Output is TAP.
#
#   script.sh topology    on the machine of tests/host/meson.build with a switch
#   script.sh functions   on two copy engines
#   script.sh reserved    on the machine of tests/host/meson.build with direct memory
set -u

pci=/sys/bus/pci
devices=$pci/devices
vfio=$pci/drivers/vfio-pci
bdf=0000:01:00.0
count=0

result() {
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
	fi
}

# is NAME VALUE WANTED
is() {
	[ "$2" = "$3" ] || echo "# $1: \"$2\" is not \"$3\""
	[ "$2" = "$3" ]
	result $? "$1"
}

# write VALUE FILE: says what the shell said of it, or ok.
write() {
	said=$( (echo "$1" >"$2") 2>&1) && said=ok
	echo "${said##*: }"
}

# has NAME PATH; lacks NAME PATH
has() {
	test -e "$2"
	result $? "$1"
}
lacks() {
	! test -e "$2"
	result $? "$1"
}

driver() {
	link=$(readlink "$devices/$1/driver") && echo "${link##*/}"
}

# ---- two copy engines ---------------------------------------------------------------

reading() {
	dir=$(readlink -f $devices/$bdf)
	is "the device's own directory" "$dir" "/sys/devices/pci0000:00/0000:00:10.0/$bdf"
	is "vendor" "$(cat $devices/$bdf/vendor)" 0x1234
	is "class" "$(cat $devices/$bdf/class)" 0x120000
	is "config's first bytes" "$(od -An -tx2 -N4 $devices/$bdf/config)" " 1234 ce01"
	is "size of config" "$(stat -c %s $devices/$bdf/config)" 4096
	is "size of resource0" "$(stat -c %s $devices/$bdf/resource0)" 65536
	is "modes" "$(stat -c '%a' $devices/$bdf/vendor $vfio/bind $devices/$bdf/config |
		tr '\n' ' ')" "444 200 644 "
	is "group" "$(basename "$(readlink $devices/$bdf/iommu_group)")" 1
	is "the group's devices" "$(ls /sys/kernel/iommu_groups/1/devices)" $bdf
	is "reserved regions" "$(cat /sys/kernel/iommu_groups/1/reserved_regions)" \
		"0x00000000fee00000 0x00000000feefffff msi"
	is "the IOMMU" "$(basename "$(readlink -f $devices/$bdf/iommu)")" dmar0
	has "the IOMMU's capabilities" /sys/class/iommu/dmar0/intel-iommu/ecap
	is "the IOMMU's devices" "$(ls /sys/class/iommu/dmar0/devices | grep -c 0000:0[12]:00.0)" 2
	has "by class" /sys/class/vfio-dev/vfio0/device/vendor
	has "by number" "/sys/dev/char/$(cat $devices/$bdf/vfio-dev/vfio0/dev)"
	is "bytes of a line" "$(wc -c <$devices/$bdf/driver_override)" 7
	is "pieces of a file" "$(dd if=$devices/$bdf/uevent bs=5 count=2 status=none)" \
		"DRIVER=vfi"
	grep -q "^PCI_SLOT_NAME=$bdf$" $devices/$bdf/uevent
	result $? "uevent"
	is "nothing is mapped" "$(cat /sys/kernel/debug/iommu/intel/$bdf/*)" ""
	is "reset methods" "$(cat $devices/$bdf/reset_method)" "flr pm bus"
}

refusals() {
	is "write to a read-only attribute" "$(write x $devices/$bdf/vendor)" \
		"Permission denied"
	is "read of a write-only one" \
		"$(cat $vfio/bind 2>&1 | sed 's/.*: //')" "Permission denied"
	is "no such attribute" "$(write x $devices/$bdf/nothing)" "$missing"
	is "no such device" "$(write x $devices/0000:55:00.0/reset)" "$missing"
	is "a directory" "$(write x $devices/$bdf/power)" "Is a directory"
	is "bind what is no device" "$(write 0000:55:00.0 $vfio/bind)" "No such device"
	is "bind twice" "$(write $bdf $vfio/bind)" "Device or resource busy"
	is "reset with something else than 1" "$(write 2 $devices/$bdf/reset)" \
		"Invalid argument"
	is "reset" "$(write 1 $devices/$bdf/reset)" ok
	is "enable with a driver" "$(write 1 $devices/$bdf/enable)" \
		"Device or resource busy"
	is "a reset method that it has not" "$(write acpi $devices/$bdf/reset_method)" \
		"Invalid argument"
	is "an id without a device" "$(write 1234 $vfio/new_id)" "Invalid argument"
	is "an id again" "$(write "1234 ce01" $vfio/new_id)" "File exists"
	is "an id that is not there" "$(write "1 2" $vfio/remove_id)" "No such device"
	is "look into a memory BAR" "$(cat $devices/$bdf/resource0 2>&1 | sed 's/.*: //')" \
		"Input/output error"
}

binding() {
	is "unbind" "$(write $bdf $vfio/unbind)" ok
	is "no driver" "$(driver $bdf)" ""
	lacks "no device node" /dev/vfio/devices/vfio0
	lacks "no group node" /dev/vfio/1
	lacks "no link below the driver" $vfio/$bdf
	lacks "nothing in its class" /sys/class/vfio-dev/vfio0
	is "the other is untouched" "$(driver 0000:02:00.0)" vfio-pci
	is "listings agree" "$(ls /dev/vfio /dev/vfio/devices | grep -c '^vfio[0-9]')" 1
	is "unbind again" "$(write $bdf $vfio/unbind)" "No such device"
	is "enable without a driver" "$(write 1 $devices/$bdf/enable)" ok
	is "enabled" "$(cat $devices/$bdf/enable)" 1
	is "disable" "$(write 0 $devices/$bdf/enable)" ok
	is "disable again" "$(write 0 $devices/$bdf/enable)" "Input/output error"

	is "override" "$(write other $devices/$bdf/driver_override)" ok
	is "it shows" "$(cat $devices/$bdf/driver_override)" other
	is "bind against the override" "$(write $bdf $vfio/bind)" "No such device"
	is "probe finds no driver" "$(write $bdf $pci/drivers_probe)" ok
	is "still none" "$(driver $bdf)" ""
	is "override for vfio-pci" "$(write vfio-pci $devices/$bdf/driver_override)" ok
	is "probe" "$(write $bdf $pci/drivers_probe)" ok
	is "bound" "$(driver $bdf)" vfio-pci
	is "override back" "$(write '' $devices/$bdf/driver_override)" ok
	is "it is none" "$(cat $devices/$bdf/driver_override)" "(null)"

	is "unbind once more" "$(write $bdf $vfio/unbind)" ok
	is "remove the id" "$(write "1234 ce01" $vfio/remove_id)" ok
	is "bind without an id" "$(write $bdf $vfio/bind)" "No such device"
	is "new id binds" "$(write "1234 ce01" $vfio/new_id)" ok
	is "bound again" "$(driver $bdf)" vfio-pci
	has "its node is back" /dev/vfio/devices/vfio0
	has "its group's node is back" /dev/vfio/1
}

# An unbind waits for whoever has the device open, and nobody can open it meanwhile.
waiting() {
	exec 7<>/dev/vfio/devices/vfio0
	(
		exec 7<&-
		write $bdf $vfio/unbind >"$scratch/unbound"
	) &
	while test -e /dev/vfio/devices/vfio0; do sleep 0.01; done
	test ! -s "$scratch/unbound"
	result $? "unbind waits"
	is "the driver is still there" "$(driver $bdf)" vfio-pci
	exec 7<&-
	wait
	is "the last close lets it go" "$(cat "$scratch/unbound")" ok
	is "now the driver is gone" "$(driver $bdf)" ""
	is "and back" "$(write $bdf $vfio/bind)" ok
}

# By another descriptor than 1, by other programs, in other processes.
other_ways() {
	(exec 5>$vfio/unbind && echo $bdf >&5)
	is "a descriptor of the shell's" "$(driver $bdf)" ""
	printf '%s' $bdf | tee $vfio/bind >/dev/null
	is "tee" "$(driver $bdf)" vfio-pci
	echo $bdf | dd of=$vfio/unbind status=none
	is "dd" "$(driver $bdf)" ""
	env sh -c "echo $bdf >$vfio/bind"
	is "another process" "$(driver $bdf)" vfio-pci
	for i in 1 2 3 4; do
		(for j in 1 2 3 4 5; do
			echo $bdf >$vfio/unbind
			echo $bdf >$vfio/bind
		done) 2>/dev/null &
	done
	wait
	echo $bdf >$vfio/bind 2>/dev/null
	is "many at a time" "$(driver $bdf)" vfio-pci
	has "with its node" /dev/vfio/devices/vfio0
	printf '\006\000' | dd of=$devices/$bdf/config bs=1 seek=4 conv=notrunc status=none
	is "config is written" "$(od -An -tx2 -j4 -N2 $devices/$bdf/config)" " 0006"
}

# What is removed is unbound, waits for who has it open, and is found again by a scan.
hotplug() {
	is "remove takes numbers" "$(write x $devices/$bdf/remove)" "Invalid argument"
	is "remove with 0" "$(write 0 $devices/$bdf/remove)" ok
	has "it is still there" $devices/$bdf
	exec 7<>/dev/vfio/devices/vfio0
	(
		exec 7<&-
		write 1 $devices/$bdf/remove >"$scratch/removed"
	) &
	while test -e /dev/vfio/devices/vfio0; do sleep 0.01; done
	test ! -s "$scratch/removed"
	result $? "remove waits"
	is "nobody else removes it" "$(write 1 $devices/$bdf/remove)" "No such device"
	exec 7<&-
	wait
	is "the last close lets it go" "$(cat "$scratch/removed")" ok
	lacks "no device" $devices/$bdf
	lacks "no group" /sys/kernel/iommu_groups/1
	lacks "no group node" /dev/vfio/1
	lacks "not below the driver" $vfio/$bdf
	is "what is gone cannot be bound" "$(write $bdf $vfio/bind)" "No such device"
	is "rescan" "$(write 1 $pci/rescan)" ok
	is "it is back, bound" "$(driver $bdf)" vfio-pci
	has "with its node" /dev/vfio/devices/vfio0
	is "the rest is as it was" "$(driver 0000:02:00.0)" vfio-pci
	is "remove again" "$(write 1 $devices/$bdf/remove)" ok
	is "rescan by another" "$(write 1 $devices/0000:02:00.0/rescan)" ok
	is "there it is" "$(cat $devices/$bdf/vendor)" 0x1234
	is "remove the port" "$(write 1 $devices/0000:00:10.0/remove)" ok
	is "all below goes along" "$(ls $devices | tr '\n' ' ')" "0000:00:10.1 0000:02:00.0 "
	for i in 1 2 3; do
		(for j in 1 2 3 4 5; do
			echo 1 >$pci/rescan
			echo 1 >$devices/$bdf/remove
			echo 1 >$devices/0000:02:00.0/rescan
			echo 1 >$devices/0000:00:10.0/remove
			cat $devices/$bdf/config >/dev/null
		done) 2>/dev/null &
	done
	wait
	write 1 $pci/rescan >/dev/null
	is "many at a time" "$(ls $devices | wc -l) $(driver $bdf)" "4 vfio-pci"
	has "with its node" /dev/vfio/devices/vfio0
}

# cd, and what is named from there.
directories() {
	(
		cd $devices/$bdf || exit
		is "cd" "$(pwd)" $devices/$bdf
		is "and where that is" "$(pwd -P)" "$(readlink -f $devices/$bdf)"
		is "a name from there" "$(cat vendor)" 0x1234
		ls -l | grep -q "driver -> "
		result $? "ls -l from there"
		is "find from there" "$(find . -maxdepth 1 -name 'max_link_*' | sort | tr '\n' ' ')" \
			"./max_link_speed ./max_link_width "
		is "realpath" "$(realpath driver)" $vfio
		is "stat" "$(stat -c %F vfio-dev)" directory
		cd .. && is "cd .." "$(pwd)" $devices
		cd -P $bdf/.. && is "cd -P" "$(pwd)" /sys/devices/pci0000:00/0000:00:10.0
		cd /sys/bus && has "out of it again" ./pci/devices/$bdf
		echo $count >"$scratch/count"
	)
	count=$(cat "$scratch/count")
	ls -lR /sys/devices/pci0000:00/0000:00:10.0 >"$scratch/all" 2>&1
	is "ls -lR" "$?" 0
	find /sys/bus/pci/ -maxdepth 4 >"$scratch/all"
	result $? "find"
}

links() {
	is "speed" "$(cat $devices/$bdf/current_link_speed)" "8.0 GT/s PCIe"
	is "width" "$(cat $devices/$bdf/max_link_width)" 16
	is "bus behind a port" "$(cat $devices/0000:00:10.0/secondary_bus_number)" 1
	is "resources of a port" "$(wc -l <$devices/0000:00:10.0/resource)" 17
	has "processors" $devices/$bdf/local_cpus
}

pciutils() {
	command -v lspci >/dev/null || {
		echo "# no lspci here"
		return
	}
	lspci -nnvv -s 01:00.0 >"$scratch/lspci" 2>&1
	grep -q "Processing accelerators.*1234:ce01" "$scratch/lspci"
	result $? "lspci -nnvv"
	grep -q "Region 2: Memory at .*64-bit, prefetchable.*size=16M" "$scratch/lspci"
	result $? "lspci's regions"
	grep -q "Kernel driver in use: vfio-pci" "$scratch/lspci"
	result $? "lspci's driver"
	grep -q "IOMMU group: 1" "$scratch/lspci"
	result $? "lspci's group"
	setpci -s 01:00.0 COMMAND=0002
	is "setpci" "$(setpci -s 01:00.0 COMMAND)" 0002
}

# DPDK's script and driverctl bind and unbind, by what they find in /sys.
binders() {
	if command -v dpdk-devbind.py >/dev/null; then
		dpdk-devbind.py -u $bdf 2>/dev/null
		is "dpdk-devbind.py -u" "$? $(driver $bdf)" "0 "
		dpdk-devbind.py -b vfio-pci $bdf 2>/dev/null
		is "dpdk-devbind.py -b" "$? $(driver $bdf)" "0 vfio-pci"
		dpdk-devbind.py --status >/dev/null 2>&1
		result $? "dpdk-devbind.py --status"
	fi
	command -v driverctl >/dev/null || return
	driverctl --nosave set-override $bdf none
	is "driverctl set-override" "$(driverctl list-devices | sed -n "/$bdf/p")" "$bdf (none) [*]"
	driverctl --nosave unset-override $bdf
	is "driverctl unset-override" "$(driverctl list-devices | sed -n "/$bdf/p")" \
		"$bdf vfio-pci"
}

# ---- a switch -------------------------------------------------------------------------

group() {
	basename "$(readlink $devices/$1/iommu_group)"
}

topology() {
	is "below a switch" "$(readlink -f $devices/0000:03:00.0)" \
		"/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0/0000:03:00.0"
	is "a port's class" "$(cat $devices/0000:02:01.0/class)" 0x060400
	is "a port's header" "$(od -An -tx1 -j14 -N1 $devices/0000:02:01.0/config)" " 01"
	is "a port's buses" "$(od -An -tx1 -j24 -N3 $devices/0000:00:01.0/config)" " 00 01 04"
	is "a port's driver" "$(driver 0000:00:01.0)" pcieport
	is "a port is not for VFIO" "$(write 0000:00:01.0 $vfio/bind)" "No such device"
	# Kept apart: groups of their own. Not kept apart: that of the port above.
	is "group below a port with ACS" "$(group 0000:03:00.0)" 1
	is "group below one without" "$(group 0000:04:00.0)" "$(group 0000:02:01.0)"
	is "of both functions" "$(group 0000:04:00.1)" "$(group 0000:04:00.0)"
	is "all of it" "$(ls "/sys/kernel/iommu_groups/$(group 0000:04:00.0)/devices" |
		tr '\n' ' ')" "0000:02:01.0 0000:04:00.0 0000:04:00.1 "
	is "a function without a driver" "$(driver 0000:04:00.1)" ""
	has "the group has a node by the other" "/dev/vfio/$(group 0000:04:00.0)"
	is "the last of a group" "$(write 0000:04:00.0 $vfio/unbind)" ok
	lacks "takes its node along" "/dev/vfio/$(group 0000:04:00.0)"
	is "a kernel's driver" "$(driver 0000:05:00.0)" ioatdma
	is "moved by a script" "$(write 0000:05:00.0 $pci/drivers/ioatdma/unbind)" ok
	is "to vfio-pci" "$(write vfio-pci $devices/0000:05:00.0/driver_override)" ok
	is "by probing" "$(write 0000:05:00.0 $pci/drivers_probe)" ok
	is "there it is" "$(driver 0000:05:00.0)" vfio-pci
	command -v lspci >/dev/null || return
	lspci -t | grep -q -- "-01.0-\[01-04\]----00.0-\[02-04\]--+-00.0-\[03\]----00.0"
	result $? "lspci -t"
}

# ---- what firmware and IOMMUs reserve -------------------------------------------------

regions() {
	tr '\n' , <"/sys/kernel/iommu_groups/$1/reserved_regions" | sed 's/0x0*\([0-9a-f]\)/\1/g'
}

reserved() {
	is "of two functions, merged by type" "$(regions 1)" \
		"1000 1fff reserved,3000 4fff direct,4000 7fff direct-relaxable,fee00000 feefffff msi,ff000000 ff0fffff direct,"
	is "relaxable" "$(regions 2)" \
		"1000 1fff reserved,2000 2fff direct-relaxable,fee00000 feefffff msi,"
	is "another kind of IOMMU" "$(regions 3)" \
		"fee00000 feefffff msi,fd00000000 ffffffffff reserved,"
	# The driver takes such a function; it cannot be opened.
	is "still bound" "$(driver $bdf)" vfio-pci
	has "with its node" /dev/vfio/devices/vfio0
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# What a shell says when it cannot create a file that it writes to.
missing=$(write x "$scratch/no/such")
case $1 in
functions)
	reading
	refusals
	binding
	waiting
	other_ways
	hotplug
	directories
	links
	binders
	pciutils
	;;
topology) topology ;;
reserved) reserved ;;
esac
echo "1..$count"
