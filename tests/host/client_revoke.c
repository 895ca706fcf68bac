/* SPDX-License-Identifier: MIT */
/*
 * Memory is taken away while engines of another process write into it: by the death of
 * either process, also in the middle of a revoke or of a map, and by the administrator,
 * through sysfs. Each crossed with every way to map it (peers.h).
 *
 * A process that was killed has let go when its device can be opened anew, which may take
 * a moment; an unbind when the write returns. From then on no byte of the memory may
 * change. An engine that is left goes on, and each of its descriptors faults, until its
 * program has mapped what the device's next user exports.
 */
#include "peers.h"
#include "scenarios.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PF       DEVICES BDF0
#define VFIO_PCI "/sys/bus/pci/drivers/vfio-pci"
#define VF_NODE  "/dev/vfio/devices/vfio3"
#define ROUNDS   2
#define CANARY   0xca
#define STALE    0xdd /* what the engines write */

/* A cell: one event, one path. */
struct cell {
	const struct path *path;
	const char *victim;   /* node */
	const uint8_t *token; /* that it takes; NULL: none */
	bool churning;
	struct sights *seen;
	struct exporter e;
	struct importer i;
	int sock[2]; /* ours, and the other process's */
	pid_t pid;
	pthread_t thread;
	_Atomic bool stop;
};

static struct cell cell;

static void on_alarm(int sig)
{
	const char *name = path_name(cell.path);

	CHECK(write(2, name, strlen(name)) && !"it hangs");
}

static void begin(struct cell *c)
{
	CHECK(signal(SIGALRM, on_alarm) != SIG_ERR);
	alarm(60); /* for a fault that never comes */
	memset(c->seen, 0, sizeof(*c->seen));
	c->stop = false;
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c->sock));
}

static void end(struct cell *c)
{
	close(c->sock[0]);
	close(c->sock[1]);
	alarm(0);
}

/* Start the other process. */
static void start(struct cell *c, void (*fn)(struct cell *c))
{
	c->pid = fork();
	CHECK(c->pid >= 0);
	if (!c->pid) {
		/* A check that fails must not leave it behind. */
		CHECK(!prctl(PR_SET_PDEATHSIG, SIGKILL));
		fn(c);
		_exit(0);
	}
}

static void kill_other(struct cell *c)
{
	int status;

	CHECK(!kill(c->pid, SIGKILL));
	CHECK(waitpid(c->pid, &status, 0) == c->pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void wait_for(_Atomic unsigned long counts[ENGINES])
{
	for (unsigned n = 0; n < ENGINES; n++) {
		unsigned long until = counts[n] + 5;

		while (counts[n] < until)
			usleep(100);
	}
}

/* The other process begins to churn when it is told to, with engines at work. */
static void tell(struct cell *c)
{
	CHECK(write(c->sock[0], "", 1) == 1);
}

static void await_word(struct cell *c)
{
	char byte;

	CHECK(read(c->sock[1], &byte, 1) == 1);
}

static void some_moment(void)
{
	usleep((useconds_t)rand() % 3000);
}

static void open_exporter(struct cell *c)
{
	while (!exporter_try_open(&c->e, c->victim, c->token))
		usleep(100);
}

static void open_importer(struct cell *c)
{
	while (!importer_try_open(&c->i, c->path, c->seen))
		usleep(100);
}

/* Exporter and importer are both ours. Who died may have left words unread in c->sock. */
static void meet(struct cell *c)
{
	int sock[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
	importer_ask(&c->i, sock[0]);
	exporter_offer(&c->e, c->path, sock[1]);
	importer_accept(&c->i, sock[0]);
	close(sock[0]);
	close(sock[1]);
}

/* ---- an exporter that goes away ---------------------------------------------------- */

static void be_exporter(struct cell *c)
{
	open_exporter(c);
	exporter_offer(&c->e, c->path, c->sock[1]);
	if (c->churning) {
		await_word(c);
		for (;;)
			exporter_churn(&c->e);
	}
	for (;;)
		pause();
}

static void *churn_importer(void *arg)
{
	struct cell *c = arg;

	while (!c->stop)
		importer_churn(&c->i);
	return NULL;
}

/* Our engines write into the other process's memory. */
static void import(struct cell *c)
{
	open_importer(c);
	importer_ask(&c->i, c->sock[0]);
	importer_accept(&c->i, c->sock[0]);
	importer_start(&c->i);
	wait_for(c->seen->arrived);
}

static void check_cut_off(struct cell *c)
{
	exporter_fill(&c->e, CANARY);
	wait_for(c->seen->faulted);
	exporter_check(&c->e, CANARY);
}

/* The device is to be had, and what it had exported is not to be reached. */
static void survive(struct cell *c)
{
	open_exporter(c);
	check_cut_off(c);
	/* Who churns may have been left with nothing mapped. */
	CHECK(!importer_unmap(&c->i) || (c->churning && errno == ENOENT));
	check_cut_off(c);
	meet(c);
	wait_for(c->seen->arrived);
	importer_stop(&c->i);
	exporter_check(&c->e, STALE);
	exporter_close(&c->e);
	importer_close(&c->i);
}

static void kill_exporter(struct cell *c)
{
	begin(c);
	start(c, be_exporter);
	import(c);
	if (c->churning) {
		tell(c);
		CHECK(!pthread_create(&c->thread, NULL, churn_importer, c));
	}
	some_moment();
	kill_other(c);
	c->stop = true;
	if (c->churning)
		CHECK(!pthread_join(c->thread, NULL));
	survive(c);
	end(c);
}

/* ---- an importer that goes away ---------------------------------------------------- */

static void be_importer(struct cell *c)
{
	open_importer(c);
	importer_ask(&c->i, c->sock[1]);
	importer_accept(&c->i, c->sock[1]);
	importer_start(&c->i);
	if (c->churning) {
		await_word(c);
		for (;;)
			importer_churn(&c->i);
	}
	for (;;)
		pause();
}

static void *churn_exporter(void *arg)
{
	struct cell *c = arg;

	while (!c->stop)
		exporter_churn(&c->e);
	return NULL;
}

static void kill_importer(struct cell *c)
{
	begin(c);
	start(c, be_importer);
	open_exporter(c);
	exporter_offer(&c->e, c->path, c->sock[0]);
	wait_for(c->seen->arrived);
	if (c->churning) {
		tell(c);
		CHECK(!pthread_create(&c->thread, NULL, churn_exporter, c));
	}
	some_moment();
	kill_other(c);
	c->stop = true;
	if (c->churning)
		CHECK(!pthread_join(c->thread, NULL));
	/* Its container must not live on through us. */
	exporter_withdraw(&c->e);
	open_importer(c);
	exporter_fill(&c->e, CANARY);
	some_moment();
	exporter_check(&c->e, CANARY);
	meet(c);
	importer_start(&c->i);
	wait_for(c->seen->arrived);
	importer_stop(&c->i);
	exporter_check(&c->e, STALE);
	importer_close(&c->i);
	exporter_close(&c->e);
	end(c);
}

/* ---- the administrator ------------------------------------------------------------- */

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* Lets go of the device when it is asked to. */
static void be_asked(struct cell *c)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} req = {
		.set = {.argsz = sizeof(req),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_REQ_IRQ_INDEX,
			.count = 1},
		.fd = eventfd(0, EFD_CLOEXEC),
	};
	struct pollfd asked = {.fd = req.fd, .events = POLLIN};

	open_exporter(c);
	CHECK(!ioctl(c->e.fd, VFIO_DEVICE_SET_IRQS, &req));
	exporter_offer(&c->e, c->path, c->sock[1]);
	CHECK(poll(&asked, 1, -1) == 1);
	exporter_close(&c->e);
	for (;;)
		pause();
}

static void unbind(struct cell *c)
{
	put(VFIO_PCI "/unbind", BDF0);
	CHECK(access(CDEV0, F_OK));
	put(VFIO_PCI "/bind", BDF0);
}

/* It waits for another driver, which never comes. */
static void override(struct cell *c)
{
	put(PF "/driver_override", "other");
	put(PF "/driver/unbind", BDF0);
	put("/sys/bus/pci/drivers_probe", BDF0);
	CHECK(access(CDEV0, F_OK));
	put(PF "/driver_override", "\n");
	put("/sys/bus/pci/drivers_probe", BDF0);
}

static void remove_functions(struct cell *c)
{
	put(PF "/sriov_numvfs", "0");
	CHECK(access(VF_NODE, F_OK));
	put(PF "/sriov_numvfs", "1");
}

static void take_driver(struct cell *c, void (*take)(struct cell *c))
{
	begin(c);
	start(c, be_asked);
	import(c);
	take(c);
	survive(c);
	kill_other(c);
	end(c);
}

static void take_function(struct cell *c)
{
	static const uint8_t token[16] = {7};
	struct exporter pf;

	CHECK(exporter_try_open(&pf, CDEV0, token));
	put(PF "/sriov_numvfs", "1");
	c->victim = VF_NODE;
	c->token = token;
	take_driver(c, remove_functions);
	put(PF "/sriov_numvfs", "0");
	exporter_close(&pf);
}

/* ---- all of them ------------------------------------------------------------------- */

static void on_each_path(void (*event)(struct cell *c), bool churning)
{
	struct sights *seen = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(seen != MAP_FAILED);
	for (unsigned n = 0; path_at(n); n++) {
		for (unsigned round = 0; round < ROUNDS; round++) {
			cell = (struct cell){.path = path_at(n),
					     .victim = CDEV0,
					     .churning = churning,
					     .seen = seen};
			event(&cell);
		}
	}
	munmap(seen, PAGE);
}

static void unbound(struct cell *c)
{
	take_driver(c, unbind);
}

static void overridden(struct cell *c)
{
	take_driver(c, override);
}

void scenario_kill_exporter(void)
{
	on_each_path(kill_exporter, false);
}

void scenario_kill_importer(void)
{
	on_each_path(kill_importer, false);
}

void scenario_kill_revoking_exporter(void)
{
	on_each_path(kill_exporter, true);
}

void scenario_kill_mapping_importer(void)
{
	on_each_path(kill_importer, true);
}

void scenario_unbind(void)
{
	on_each_path(unbound, false);
}

void scenario_override(void)
{
	on_each_path(overridden, false);
}

void scenario_remove_function(void)
{
	on_each_path(take_function, false);
}
