#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A device's BARs by their own files, under `uiommufd run` with an igb, whose BAR 2 is a
# pair of I/O ports: an address, and the register there. Output is TAP.
set -u

device=/sys/bus/pci/devices/0000:01:00.0
ports=$device/resource2
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

# inl OFFSET; inw OFFSET; inx SIZE OFFSET: what dd says
inl() {
	dd if=$ports bs=4 count=1 skip=$(($1 / 4)) status=none | od -An -tx4 | tr -d ' '
}
inw() {
	dd if=$ports bs=2 count=1 skip=$(($1 / 2)) status=none | od -An -tx2 | tr -d ' '
}
outl() {
	dd of=$ports bs=4 count=1 seek=$(($1 / 4)) conv=notrunc status=none
}

is "what it is" "$(sed -n 3p $device/resource)" \
	"0x0000000000001200 0x000000000000121f 0x0000000000040101"
is "its size" "$(stat -c '%s %a' $ports)" "32 600"
is "no more lines than Linux has" "$(wc -l <$device/resource)" 13
is "virtual functions' BARs" "$(sed -n '8p;11p' $device/resource | awk '{print $3}' | uniq)" \
	0x0000000000140204
is "before it decodes" "$(inl 0)" ffffffff
setpci -s 01:00.0 COMMAND=0007
is "the address" "$(inl 0)" 00000000
# RAL of the first address of its own
printf '\000\124\000\000' | outl 0
is "an address is written" "$(inl 0)" 00005400
is "half of it" "$(inw 0)" 5400
first=$(inl 4)
printf '\001\002\003\004' | outl 4
is "a register is written" "$(inl 4)" 04030201
printf '\000\124\000\000' | outl 0
test "$first" != 04030201
is "it was something else" $? 0
is "any other size" "$(cat $ports 2>&1 | sed 's/.*: //')" "Invalid argument"
is "three bytes" "$( (printf 'abc' >$ports) 2>&1 | sed 's/.*: //')" "Invalid argument"
is "beyond its end" "$( (printf 'abcd' | dd of=$ports bs=4 seek=8 conv=notrunc) 2>&1 |
	sed -n 's/.*: File/File/p')" "File too large"
echo "1..$count"
