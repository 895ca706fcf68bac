#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every public header compiles by itself, as strict C and as C++, without a warning, and
# so do its macros; the ABI headers also after the kernel's own.
#
#   test_headers.sh SOURCE-ROOT CC CXX    (CXX may be empty: C only)
set -u
root=$1 cc=$2 cxx=$3
count=0 failed=0

result() { # status, name
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		failed=1
		echo "not ok $count - $2"
	fi
}

compile() { # compiler language standard, source on stdin
	# shellcheck disable=SC2086 # the compiler may come with arguments
	$1 -x "$2" -std="$3" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$root/include" - 2>&1 |
		sed 's/^/# /' | grep . && return 1
	return 0
}

cd "$root/include" || exit 1
for header in $(find . -name '*.h' | sed 's,^\./,,' | sort); do
	echo "#include <$header>" | compile "$cc" c c11
	result $? "$header: C"
	[ -n "$cxx" ] || continue
	echo "#include <$header>" | compile "$cxx" c++ c++11
	result $? "$header: C++"
done

init='#include <uiommufd/uiommufd.h>
struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;'
echo "$init" | compile "$cc" c c11
result $? "UIOMMUFD_CONFIG_INIT: C"
if [ -n "$cxx" ]; then
	echo "$init" | compile "$cxx" c++ c++11
	result $? "UIOMMUFD_CONFIG_INIT: C++"
fi

for family in iommufd vfio; do
	if echo "#include <linux/$family.h>" | compile "$cc" c gnu11 >/dev/null; then
		printf '#include <linux/%s.h>\n#include <uiommufd/abi/%s.h>\n' $family $family |
			compile "$cc" c gnu11
		result $? "$family.h after the kernel's"
	fi
done
echo "1..$count"
exit $failed
