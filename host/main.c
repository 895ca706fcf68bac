/* SPDX-License-Identifier: MIT */
/* The command line of `uiommufd`. Mistakes in it are one line and exit status 125. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/models.h"
#include "host/doctor.h"
#include "host/host.h"
#include "host/run.h"

static const char usage[] =
	"Usage: uiommufd run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"       uiommufd doctor\n"
	"       uiommufd --help | --version\n"
	"\n"
	"run     Runs PROGRAM with a /dev/iommu and /dev/vfio, and PCI devices that do "
	"DMA,\n"
	"        all of it simulated. Exits as PROGRAM does.\n"
	"doctor  Says what this machine allows and what to do about what it does not.\n";

static const char run_usage[] =
	"Usage: uiommufd run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"\n"
	"  -d, --device=MODEL[,bdf=BDF][,group=N][,iommu=NAME][,mmio=WAY]\n"
	"               [,OPTION=VALUE]...\n"
	"                         add a PCI device; may be repeated. Without any, and\n"
	"                         without --machine, there are two copy engines.\n"
	"                         driver=none: it is not bound to vfio-pci at first. "
	"Models\n"
	"                         root-port and switch-{up,down}stream: ports to "
	"bus=BUS\n"
	"                         (docs/machine.md).\n"
	"  -i, --iommu=TYPE[,name=NAME][,OPTION=VALUE]...\n"
	"                         add an IOMMU, vtd or amd (docs/machine.md); devices "
	"are\n"
	"                         behind the first, or the one that their iommu=NAME "
	"says\n"
	"  -m, --machine=FILE     take the machine's description (JSON) from FILE\n"
	"  -l, --log[=FILE]       write each call that is served to FILE or standard "
	"error\n"
	"  -x, --extension=NAME   switch on something that Linux has not got\n"
	"      --host-devices     show the PCI devices of this computer as well\n"
	"      --selftest         offer the mock IOMMU of the kernel's selftests\n"
	"  -h, --help             show this\n"
	"\n"
	"Exit status: that of PROGRAM; 125 if uiommufd itself fails, 126 if PROGRAM "
	"cannot\n"
	"be run, 127 if it cannot be found.\n"
	"\n"
	"Device models:\n";

static void print_models(void)
{
	for (size_t i = 0; device_models[i]; i++) {
		const struct uiommufd_model *m = device_models[i];
		const char *line = m->options;

		printf("  %-22s %s\n", m->name, m->summary);
		while (line && *line) {
			int n = (int)strcspn(line, "\n");

			printf("  %-22s   %.*s\n", "", n, line);
			line += n;
			line += *line == '\n';
		}
	}
}

/* Appends to a list that ends with NULL. */
static int append(const char ***list, size_t *n, const char *text)
{
	const char **v = realloc(*list, (*n + 2) * sizeof(char *));

	if (!v) {
		complain("out of memory");
		return -ENOMEM;
	}
	v[(*n)++] = text;
	v[*n] = NULL;
	*list = v;
	return 0;
}

static int take_file(const char *option, const char *name, const char **out)
{
	*out = name;
	if (*name)
		return 0;
	complain("run: %s: a file's name is needed", option);
	return -EINVAL;
}

/* Answers what getopt_long() does at the end: -1, or the option it stopped at. */
static int parse_run(int argc, char **argv, struct run_options *o)
{
	static const struct option options[] = {
		{"device", required_argument, NULL, 'd'},
		{"iommu", required_argument, NULL, 'i'},
		{"machine", required_argument, NULL, 'm'},
		{"log", optional_argument, NULL, 'l'},
		{"extension", required_argument, NULL, 'x'},
		{"host-devices", no_argument, NULL, 'p'},
		{"selftest", no_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	size_t nr_devices = 0, nr_extensions = 0, nr_iommus = 0;
	int opt, err = 0;

	while (!err &&
	       (opt = getopt_long(argc, argv, "+d:i:m:l::x:h", options, NULL)) != -1) {
		switch (opt) {
		case 'd':
			err = append(&o->devices, &nr_devices, optarg);
			break;
		case 'i':
			err = append(&o->iommus, &nr_iommus, optarg);
			break;
		case 'm':
			err = take_file("--machine", optarg, &o->machine_file);
			break;
		case 'l':
			o->log = true;
			err = optarg ? take_file("--log", optarg, &o->log_file) : 0;
			break;
		case 'x':
			err = append(&o->extensions, &nr_extensions, optarg);
			break;
		case 'p':
			o->host_devices = true;
			break;
		case 's':
			o->selftest = true;
			break;
		default:
			return opt;
		}
	}
	o->argv = argv + optind;
	return err ? '?' : -1;
}

/* The exit status after what was asked for went to standard output. */
static int printed(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	complain("standard output: %s", strerror(errno));
	return EXIT_OURS;
}

static int command_run(int argc, char **argv)
{
	static char name[] = "uiommufd: run";
	struct run_options o = {0};
	int stopped, status = EXIT_OURS;

	argv[0] = name; /* getopt_long() begins its messages with it */
	stopped = parse_run(argc, argv, &o);

	if (stopped == 'h') {
		fputs(run_usage, stdout);
		print_models();
		status = printed();
	} else if (stopped == -1 && !o.argv[0]) {
		complain("run: which program? (uiommufd run --help)");
	} else if (stopped == -1) {
		status = run(&o);
	}
	free(o.devices);
	free(o.iommus);
	free(o.extensions);
	return status;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : NULL;

	if (!command) {
		complain("which command? (uiommufd --help)");
		return EXIT_OURS;
	}
	if (!strcmp(command, "run"))
		return command_run(argc - 1, argv + 1);
	if (!strcmp(command, "doctor"))
		return doctor(argc - 1, argv + 1);
	if (!strcmp(command, "--help") || !strcmp(command, "-h")) {
		fputs(usage, stdout);
		return printed();
	}
	if (!strcmp(command, "--version")) {
		puts("uiommufd " UIOMMUFD_VERSION);
		return printed();
	}
	complain("%s: no such command (uiommufd --help)", command);
	return EXIT_OURS;
}
