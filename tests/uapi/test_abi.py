#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Are our ABI headers the kernel's interface, all of it and nothing else?

Reads the kernel's own header and ours with the compiler's preprocessor and a small
parser of C declarations. The names found must be the same: structs, members with their
types, enumerators with their enum, macros with their parameters. Then one program is
made for each of the two, which prints every size, alignment, offset and number, and
what they print must be the same. So what is missing or wrong on either side fails. Only
what a Linux newer than the one we describe has added is no failure: it is listed.

The kernel's headers are fetched by scripts/fetch-linux-headers, or taken from
$UIOMMUFD_LINUX_HEADERS (a folder with linux/vfio.h). Offline the test is skipped.

usage: test_abi.py SOURCE-ROOT COMPILER...
"""
import os
import re
import subprocess
import sys
import tempfile

DESCRIBED = (7, 3)

# Types as ours, by the kernel's; the preprocessor has expanded __aligned_u64.
TYPES = {
    "__u8": "uint8_t",
    "__u16": "uint16_t",
    "__u32": "uint32_t",
    "__u64": "uint64_t",
    "__u64 *": "uint64_t *",
    "__s32": "int32_t",
    "__s64": "int64_t",
    "__u64 __attribute__((aligned(8)))": "uiommufd_u64",
    "__le64 __attribute__((aligned(8)))": "uiommufd_le64",
}


class Header:
    """One header: what it declares and what it defines."""

    def __init__(self, compiler, flags, include, base, only):
        self.compiler = compiler
        self.flags = flags
        self.include = f"#include <{include}>\n"
        self.only = re.compile(only)
        self.structs = {}  # "struct x" -> [(member, type, is flexible array)]
        self.enums = {}  # enumerator -> its enum's tag
        self.macros = self.defined(self.include, "-dM")
        for name in self.defined("".join(f"#include <{b}>\n" for b in base), "-dM"):
            self.macros.pop(name, None)
        self.parse(self.tokens())

    def preprocess(self, source, *options):
        return subprocess.run(
            [*self.compiler, *self.flags, "-E", *options, "-x", "c", "-"],
            input=source, stdout=subprocess.PIPE, check=True, text=True).stdout

    def defined(self, source, option):
        """name -> how many parameters, "-": object-like. Empty ones, guards, are not."""
        found = {}
        for line in self.preprocess(source, option).splitlines():
            m = re.match(r"#define (\w+)(\([^)]*\))?(?:\s+(.*))?$", line)
            if m and (m[3] or "").strip() and not m[1].startswith("UIOMMUFD_"):
                found[m[1]] = len(m[2].split(",")) if m[2] else "-"
        return found

    def tokens(self):
        """The tokens of the header's own lines, without those of what it includes."""
        own = False
        for line in self.preprocess(self.include).splitlines():
            marker = re.match(r'# \d+ "([^"]*)"', line)
            if marker:
                own = bool(self.only.search(marker[1]))
            elif own and not line.startswith("#"):
                yield from re.findall(r'\w+|"[^"]*"|<<|[^\w\s]', line)

    def parse(self, tokens):
        declaration, depth = [], 0
        for t in tokens:
            declaration.append(t)
            depth += (t in "{(") - (t in "})")
            if t == ";" and depth == 0:
                self.declare(declaration[:-1])
                declaration = []
        if declaration:
            raise ValueError(f"incomplete: {declaration}")

    def declare(self, d):
        if "{" not in d or d[0] == "typedef":
            return  # uses only
        end = len(d) - 1 - d[::-1].index("}")
        start = d.index("{")
        tag = " ".join(d[:start])
        body = d[start + 1:end]
        if d[0] == "enum":
            for enumerator in split(body, ","):
                self.enums[enumerator[0]] = tag
        elif d[0] in ("struct", "union"):
            self.structs[tag] = list(self.members(body, ""))
        else:
            raise ValueError(f"unknown declaration: {d}")

    def members(self, body, prefix):
        for m in split(body, ";"):
            if "{" in m:
                end = len(m) - 1 - m[::-1].index("}")
                inner = m[m.index("{") + 1:end]
                name = prefix + "".join(t + "." for t in m[end + 1:])
                yield from self.members(inner, name)
                continue
            dimension = ""
            if "[" in m:
                cut = m.index("[")
                dimension = "".join(m[cut:])
                m = m[:cut]
            spelled = re.sub(r" ?([(),]+) ?", r"\1", " ".join(m[:-1]))
            spelled = re.sub(r"(\w) ?__attribute__", r"\1 __attribute__", spelled)
            if m[-1] == ")":  # the attribute stands last
                raise ValueError(f"unknown member: {m}")
            yield prefix + m[-1], TYPES.get(spelled, spelled) + dimension, \
                dimension == "[]"

    def program(self, names):
        """A C program that prints what @names (a Header) has, as this header has it."""
        out = [self.include, PRELUDE]
        for tag, members in sorted(names.structs.items()):
            out.append(f'NUMBER("{tag}", sizeof({tag}));')
            out.append(f'NUMBER("{tag} alignment", _Alignof({tag}));')
            for member, _, flexible in members:
                element = "[0]" if flexible else ""
                out.append(f'NUMBER("{tag} {member} offset", '
                           f"__builtin_offsetof({tag}, {member}));")
                out.append(f'NUMBER("{tag} {member} size", '
                           f"sizeof((({tag} *)0)->{member}{element}));")
        for name in sorted(names.enums):
            out.append(f'NUMBER("{name}", {name});')
        for name, parameters in sorted(names.macros.items()):
            if parameters == "-":
                out.append(f'SHOW("{name}", {name});')
            elif parameters == 1:
                out += [f'SHOW("{name}({i})", {name}({i}));' for i in range(32)]
            else:
                raise ValueError(f"cannot try {name} with {parameters} arguments")
        out.append("return 0; }\n")
        return "\n".join(out)

    def values(self, names, folder):
        """What the program prints: name -> text."""
        binary = os.path.join(folder, "values")
        subprocess.run(
            [*self.compiler, *self.flags, "-std=gnu11", "-x", "c", "-", "-o", binary],
            input=self.program(names), check=True, text=True)
        printed = subprocess.run([binary], stdout=subprocess.PIPE, check=True, text=True)
        return dict(line.split("\t", 1) for line in printed.stdout.splitlines())


# NUMBER for sizes; SHOW adds the type, so that signs and widths are compared as well.
PRELUDE = r"""
#include <stdio.h>
static void number(const char *name, const char *type, long long value)
{
	printf("%s\t%lld %s\n", name, value, type);
}
static void string(const char *name, const char *type, const char *value)
{
	printf("%s\t\"%s\"%s\n", name, value, type);
}
#define NUMBER(name, value) number(name, "", (long long)(value))
#define SHOW(name, value)                                                      \
	_Generic((value), char *: string, default: number)(                    \
		name,                                                          \
		_Generic((value), char *: "", int: "int", unsigned: "unsigned", \
			 long: "long", unsigned long: "unsigned long"),        \
		value)
int main(void)
{
"""


def split(tokens, separator):
    """Lists of tokens between separators outside of brackets."""
    parts, depth = [[]], 0
    for t in tokens:
        depth += (t in "{([") - (t in "})]")
        if t == separator and depth == 0:
            parts.append([])
        else:
            parts[-1].append(t)
    return [p for p in parts if p]


class Results:
    """TAP: one line for each thing that was compared."""

    def __init__(self, newer):
        self.newer = newer  # than what we describe
        self.count = self.failures = 0

    def check(self, name, theirs, ours):
        """Are two dicts the same?"""
        self.count += 1
        differ = sorted(k for k in set(theirs) | set(ours)
                        if theirs.get(k) != ours.get(k))
        if not differ:
            print(f"ok {self.count} - {name}")
        elif self.newer and not any(k in ours for k in differ):
            print(f"not ok {self.count} - {name} # TODO new in this Linux: "
                  + ", ".join(differ))
        else:
            self.failures += 1
            print(f"not ok {self.count} - {name}")
            for k in differ:
                print(f"#   {k}: Linux {theirs.get(k, 'nothing')}, "
                      f"ours {ours.get(k, 'nothing')}")


def all_members(header):
    return {f"{tag}.{m[0]}": m[1] for tag, ms in header.structs.items() for m in ms}


def compare(results, family, theirs, ours):
    before = results.failures
    results.check(f"{family}: enumerators", theirs.enums, ours.enums)
    results.check(f"{family}: macros", theirs.macros, ours.macros)
    results.check(f"{family}: members", all_members(theirs), all_members(ours))
    if results.failures > before:
        return  # what is not there has no numbers
    with tempfile.TemporaryDirectory() as folder:
        a = theirs.values(ours, folder)
        b = ours.values(ours, folder)
    if len(a) < len(ours.structs) + len(ours.enums) + len(ours.macros):
        raise ValueError("the program printed too little")
    for tag in sorted(ours.structs):
        if len(theirs.structs[tag]) > len(ours.structs[tag]):
            a.pop(tag)  # it has grown
            b.pop(tag)
        results.check(f"{family}: layout of {tag}", within(a, tag), within(b, tag))
    results.check(f"{family}: numbers", a, b)


def within(values, tag):
    return {k: v for k, v in values.items() if k == tag or k.startswith(tag + " ")}


def skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)  # TAP says it; an exit status besides would be an error


def cache():
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("UIOMMUFD_CACHE") or os.path.join(home, "uiommufd")


def kernel_headers(root, compiler):
    """Flags that make the kernel's headers the ones that are found."""
    given = os.environ.get("UIOMMUFD_LINUX_HEADERS")
    if given:
        return ["-isystem", given]
    folder = os.path.join(cache(), "linux-headers")
    fetch = subprocess.run([os.path.join(root, "scripts/fetch-linux-headers"), folder],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if fetch.returncode in (69, 75):
        reason = (fetch.stderr.strip().splitlines() or ["offline"])[-1]
        skip(reason)
    if fetch.returncode:
        print(f"Bail out! {fetch.stderr.strip()}")
        sys.exit(1)
    machine = subprocess.run([*compiler, "-dumpmachine"], stdout=subprocess.PIPE,
                             check=True, text=True).stdout.strip()
    include = os.path.join(folder, "usr/include")
    triplet = re.sub(r"^(\w+)-\w+-linux", r"\1-linux", machine)
    return ["-isystem", include, "-isystem", os.path.join(include, triplet)]


def compare_selftest(results, root, compiler, linux_flags):
    """The selftests' call is declared in the kernel's source, not in its headers."""
    source = os.path.join(cache(), "selftests-source")
    if not os.path.isdir(source):
        results.count += 1
        print(f"ok {results.count} - selftest # SKIP run scripts/build-selftests first")
        return
    theirs = Header(compiler, [*linux_flags, "-I", source],
                    "drivers/iommu/iommufd/iommufd_test.h", ["linux/iommufd.h"],
                    r"/iommufd_test\.h$")
    ours = Header(compiler, ["-I", os.path.join(root, "include"), "-I", root],
                  "selftest/abi.h", ["sys/ioctl.h", "uiommufd/abi/iommufd.h"],
                  r"/selftest/abi\.h$")
    compare(results, "selftest", theirs, ours)


def linux_version(compiler, flags):
    """(7, 3)"""
    text = subprocess.run(
        [*compiler, *flags, "-E", "-P", "-x", "c", "-"], stdout=subprocess.PIPE,
        input="#include <linux/version.h>\nLINUX_VERSION_MAJOR "
              "LINUX_VERSION_PATCHLEVEL\n", check=True, text=True).stdout
    return tuple(int(n) for n in text.split())


def main():
    root, compiler = sys.argv[1], sys.argv[2:]
    linux_flags = kernel_headers(root, compiler)
    version = linux_version(compiler, linux_flags)
    name = ".".join(map(str, version))
    if version < DESCRIBED:
        skip(f"the headers of Linux {name} are too old")
    print(f"# headers of Linux {name}")
    results = Results(version > DESCRIBED)
    for family in ("iommufd", "vfio"):
        theirs = Header(compiler, linux_flags, f"linux/{family}.h",
                        ["linux/types.h", "linux/ioctl.h", "linux/stddef.h"],
                        rf"/linux/{family}\.h$")
        ours = Header(compiler, ["-I", os.path.join(root, "include")],
                      f"uiommufd/abi/{family}.h", ["stdint.h", "sys/ioctl.h"],
                      r"/uiommufd/abi/\w+\.h$")
        if not theirs.structs or not theirs.enums or not theirs.macros:
            raise ValueError(f"nothing found in linux/{family}.h")
        compare(results, family, theirs, ours)
    compare_selftest(results, root, compiler, linux_flags)
    print(f"1..{results.count}")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
