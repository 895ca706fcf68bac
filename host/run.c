/* SPDX-License-Identifier: MIT */
/*
 * See run.h.
 *
 * The main thread starts everything, then waits for what happens: a signal, the end of a
 * process, a descriptor closed, and at last the listener's hang-up, which says that no
 * process has the filter any more. So a client that has put itself into the background
 * is served until it ends; the command then answers with the status of the process that
 * it had started.
 *
 * Signals. The client is in our process group, so what the terminal sends (si_code
 * SI_KERNEL) reaches it without us; other signals are passed on to the client's first
 * process. When that is stopped as jobs are, we stop, too, and not before, since it may
 * have calls to make until then: job control works as if we were not there.
 *
 * We are the reaper of the client's orphans: their descent from us is what Yama lets us
 * look into them by.
 */
#include "host/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/port.h"
#include "host/attr_file.h"
#include "host/fail_nth.h"
#include "host/filter.h"
#include "host/host.h"
#include "host/kvm_vfio.h"
#include "host/launch.h"
#include "host/log.h"
#include "host/notify.h"
#include "host/pci_bus.h"
#include "host/process.h"
#include "host/tracer.h"
#include "host/view.h"
#include "machine/accounting.h"
#include "machine/files.h"
#include "machine/machine.h"
#include "vfio/pci_device.h"

/* A machine description is a page or two; more is a mistake. */
#define MAX_MACHINE_FILE (1 << 20)
/* While a close is under way in a client, look again after this long. */
#define PENDING_MS    5
#define CLOSING_TRIES 50
/* Set for tests: says what is left at the end, and fails if anything is. */
#define CHECK_VARIABLE "UIOMMUFD_CHECK"

struct session {
	struct host host;
	struct log *log;
	struct notify *notify;
	struct inheritance inherited;
	struct sock_fprog filter;
	struct launched client;
	struct tracer *tracer; /* NULL: nobody needs one */
	int signals;
	bool ended; /* the first process; its status: */
	int status;
	int stopped; /* what the first process was stopped by; 0: nothing new */
	bool hung_up;
};

void complain(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "uiommufd: %s\n", text);
}

/* ---- starting ----------------------------------------------------------------- */

static int block_signals(struct session *s)
{
	static const int left[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
				   SIGTRAP, SIGABRT, SIGSYS, SIGURG};
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_LEN(left); i++)
		sigdelset(&set, left[i]);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? -errno : 0;
}

static int read_file(const char *path, char **out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	char *text;
	ssize_t n;
	int err;

	if (fd < 0)
		return -errno;
	text = malloc(MAX_MACHINE_FILE + 1);
	if (!text) {
		close(fd);
		return -ENOMEM;
	}
	while ((n = read(fd, text + have, MAX_MACHINE_FILE - have)) > 0)
		have += (size_t)n;
	err = n < 0 ? -errno : have == MAX_MACHINE_FILE ? -EFBIG : 0;
	close(fd);
	if (err) {
		free(text);
		return err;
	}
	text[have] = '\0';
	*out = text;
	return 0;
}

static int make_machine(struct session *s, const struct run_options *o)
{
	struct uiommufd_config config = UIOMMUFD_CONFIG_INIT;
	char error[512], *json = NULL;
	int err;

	if (o->machine_file) {
		err = read_file(o->machine_file, &json);
		if (err) {
			complain("%s: %s", o->machine_file, strerror(-err));
			return err;
		}
	}
	config.json = json;
	config.devices = o->devices;
	config.iommus = o->iommus;
	config.extensions = o->extensions;
	config.selftest = o->selftest;
	err = machine_create(&config, error, sizeof(error), &s->host.machine);
	/* With nothing else on the command line it is the file that is wrong. */
	if (err && json && !o->devices && !o->iommus && !o->extensions)
		complain("%s: %s", o->machine_file, error);
	else if (err)
		complain("%s", error);
	else if (s->log)
		s->host.machine->trace = log_trace(s->log);
	free(json);
	return err;
}

static int make_host(struct session *s, const struct run_options *o)
{
	int err;

	if (o->log) {
		err = log_create(o->log_file, &s->log);
		if (err) {
			complain("%s: %s", o->log_file ? o->log_file : "standard error",
				 strerror(-err));
			return err;
		}
	}
	err = make_machine(s, o);
	if (err)
		return err;
	err = view_create(&s->host.view);
	if (!err)
		err = pci_bus_create(s->host.machine, s->host.view, o->host_devices,
				     &s->host.pci);
	if (err) {
		complain("cannot make a private directory for /dev and /sys: %s (see "
			 "uiommufd doctor)",
			 strerror(-err));
		return err;
	}
	err = attr_files_create(&s->host.attr_files);
	if (!err)
		err = process_table_create(&s->host.processes);
	if (!err)
		err = kvm_vfios_create(&s->host.kvm_vfios);
	if (!err && o->selftest)
		err = fail_nth_create(s->host.view, &s->host.fail_nth);
	if (!err)
		err = filter_create(&s->filter, o->selftest);
	if (err)
		complain("cannot begin: %s (see uiommufd doctor)", strerror(-err));
	return err;
}

static bool wants_tracer(const struct machine *m)
{
	for (size_t i = 0; i < m->nr_devices; i++)
		if (pci_device_mmio(m->devices[i]) == UIOMMUFD_MMIO_FAULT)
			return true;
	return false;
}

/* The client has not begun: its exec is a call that nobody serves yet. */
static int start_tracer(struct session *s)
{
	int err;

	if (!wants_tracer(s->host.machine))
		return 0;
	err = tracer_create(&s->host, s->client.pid, &s->tracer);
	if (err)
		complain("cannot trace the program, which registers behind a mapping "
			 "that faults need (%s). Is it run under strace or a debugger? "
			 "The device option mmio=trap does without (see uiommufd "
			 "doctor).",
			 strerror(-err));
	return err;
}

/* 0, or the exit status. */
static int start_client(struct session *s, const struct run_options *o)
{
	const char *what;
	int err;

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	err = launch(o->argv, &s->filter, &s->inherited, &s->client, &what);
	if (err) {
		complain("cannot %s: %s", what, strerror(-err));
		return EXIT_OURS;
	}
	err = start_tracer(s);
	if (err) {
		kill(s->client.pid, SIGKILL);
		return EXIT_OURS;
	}
	err = notify_create(&s->host, s->client.listener, &s->notify);
	if (err) {
		complain("cannot serve the program: %s", strerror(-err));
		kill(s->client.pid, SIGKILL);
		return EXIT_OURS;
	}
	inheritance_release(&s->inherited);
	err = launch_result(&s->client);
	if (err)
		complain("%s: %s", o->argv[0], strerror(err));
	return 0;
}

/* ---- serving ------------------------------------------------------------------ */

/*
 * A child that has ended, or with WUNTRACED stopped; 0: none yet; -1: there is no child.
 * One that is trapped is inject.c's, hides others, and goes on soon: then there is a
 * SIGCHLD.
 */
static pid_t next_ended(int options)
{
	siginfo_t si = {0};

	while (!waitid(P_ALL, 0, &si, WEXITED | WNOWAIT | options)) {
		if (si.si_code != CLD_TRAPPED)
			return si.si_pid;
		if (options & WNOHANG)
			return 0;
		usleep(1000);
	}
	return errno == EINTR ? 0 : -1;
}

/*
 * @options: WNOHANG, or 0 to wait until there is no child left. A tracer does this
 * itself, and nobody else may.
 */
static void reap_children(struct session *s, int options)
{
	pid_t pid;

	if (s->tracer) {
		s->ended = tracer_has_ended(s->tracer, &s->status);
		return;
	}
	while ((pid = next_ended(options)) > 0) {
		int status;

		if (waitpid(pid, &status, __WALL | (options & WUNTRACED)) != pid ||
		    pid != s->client.pid || s->ended)
			continue;
		if (WIFSTOPPED(status)) {
			s->stopped = WSTOPSIG(status);
			continue;
		}
		s->ended = true;
		s->status = status;
	}
}

static bool is_job_stop(int sig)
{
	return sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/*
 * Returns when we are continued; at once where there is nobody who would do that (an
 * orphaned process group). What is typed before it has returned stops us at once, as it
 * would any process, and so the client only when we are continued again.
 */
static void stop_by(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/*
 * Who continues a job does that to its whole group, but maybe to us alone. (A tracer's
 * waiting is left to it: then the client may be told twice; and a trap to inject.c.)
 */
static bool client_goes_on(struct session *s)
{
	const int options = WCONTINUED | WNOHANG;
	siginfo_t si = {0};

	return !s->tracer &&
	       !waitid(P_PID, (id_t)s->client.pid, &si, options | WNOWAIT) &&
	       si.si_code == CLD_CONTINUED &&
	       !waitid(P_PID, (id_t)s->client.pid, &si, options);
}

/* @ended: before this and what came with it. */
static void take_signal(struct session *s, const struct signalfd_siginfo *si, bool ended)
{
	int sig = (int)si->ssi_signo;

	if (sig == SIGCHLD) {
		reap_children(s, WNOHANG | WUNTRACED);
		return;
	}
	/* A terminal that is closed tells the leader of its session alone. */
	if (sig == SIGHUP && si->ssi_code == SI_KERNEL && getsid(0) == getpid()) {
		s->hung_up = true;
		kill(s->client.pid, sig);
		return;
	}
	if (is_job_stop(sig) && (ended || s->tracer)) {
		stop_by(sig);
		return;
	}
	if (sig == SIGPIPE || si->ssi_code == SI_KERNEL || s->ended ||
	    (sig == SIGCONT && client_goes_on(s)))
		return;
	kill(s->client.pid, sig);
}

static void take_signals(struct session *s)
{
	struct signalfd_siginfo si;
	bool ended = s->ended;
	int stopped;

	while (read(s->signals, &si, sizeof(si)) == sizeof(si))
		take_signal(s, &si, ended);
	stopped = s->stopped;
	s->stopped = 0;
	if (!s->ended && is_job_stop(stopped))
		stop_by(stopped);
	/* Its end would have told the others. */
	if (s->ended && s->hung_up) {
		s->hung_up = false;
		kill(0, SIGHUP);
	}
}

static void serve(struct session *s)
{
	struct files *files = s->host.machine->files;
	struct pollfd p[] = {
		{.fd = s->client.listener},
		{.fd = s->signals, .events = POLLIN},
		{.fd = process_table_fd(s->host.processes), .events = POLLIN},
		{.fd = files_event_fd(files), .events = POLLIN},
		{.fd = s->tracer ? tracer_fd(s->tracer) : -1, .events = POLLIN},
	};
	bool pending = false;

	while (!(p[0].revents & (POLLHUP | POLLERR))) {
		int n = poll(p, ARRAY_LEN(p), pending ? PENDING_MS : -1);

		if (n < 0)
			continue;
		if (p[1].revents)
			take_signals(s);
		if (p[2].revents)
			process_table_event(s->host.processes);
		if (p[3].revents || pending)
			pending = files_reap(files);
		if (p[4].revents) {
			reap_children(s, WNOHANG);
			p[4].fd = -1;
		}
	}
	/*
	 * Linux from 6.11 on hangs up when the last process begins to exit, before it has
	 * closed anything. All of them are our children by now.
	 */
	if (s->tracer)
		tracer_wait(s->tracer);
	reap_children(s, 0);
}

/* ---- ending ------------------------------------------------------------------- */

/* What the last processes held may take the kernel a moment to close. */
static void let_go(struct files *files)
{
	for (int i = 0; i < CLOSING_TRIES; i++) {
		bool pending = files_reap(files);

		if (!pending || !files_count(files))
			return;
		usleep(PENDING_MS * 1000);
	}
}

/* The errno does not tell, and few programs are tested as anyone but root. */
static void explain_refusals(struct machine *m)
{
	if (accounting_has_refused(m->accounting))
		complain("memory was not mapped (ENOMEM), since the program may not lock "
			 "that much: raise ulimit -l, or run --extension "
			 "unlimited-memlock");
}

/* Everything that clients held is let go; answers how much was left after that. */
static int finish(struct session *s)
{
	int left = 0;

	pci_bus_stop(s->host.pci);
	notify_destroy(s->notify);
	tracer_destroy(s->tracer);
	if (s->host.machine) {
		let_go(s->host.machine->files);
		explain_refusals(s->host.machine);
	}
	process_table_destroy(s->host.processes);
	left = machine_destroy(s->host.machine);
	kvm_vfios_destroy(s->host.kvm_vfios);
	fail_nth_destroy(s->host.fail_nth);
	view_destroy(s->host.view);
	pci_bus_destroy(s->host.pci);
	attr_files_destroy(s->host.attr_files);
	log_destroy(s->log);
	free(s->filter.filter);
	free(s->inherited.fds);
	if (s->signals >= 0)
		close(s->signals);
	return left;
}

/* End as the client's first process did. */
static int end_like(int status)
{
	static const struct rlimit no_core;
	sigset_t set;
	int sig;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	sig = WTERMSIG(status);
	setrlimit(RLIMIT_CORE, &no_core);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return 128 + sig;
}

int run(const struct run_options *o)
{
	struct session s = {.signals = -1};
	int err, left, status = 0;

	err = inheritance_save(&s.inherited);
	if (!err)
		err = block_signals(&s);
	if (err) {
		complain("cannot begin: %s (are there descriptors left, and is /proc "
			 "mounted?)",
			 strerror(-err));
		return EXIT_OURS;
	}
	if (make_host(&s, o))
		status = EXIT_OURS;
	else
		status = start_client(&s, o);
	if (!status)
		serve(&s);
	left = finish(&s);
	if (!status && getenv(CHECK_VARIABLE)) {
		complain("%d open files left", left);
		if (left)
			return EXIT_OURS;
	}
	return status ? status : end_like(s.status);
}
