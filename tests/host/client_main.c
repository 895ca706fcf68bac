/* SPDX-License-Identifier: MIT */
/* "client NAME [ARGUMENT]...": run one scenario; see client.h. */
#include "client.h"
#include "scenarios.h"

#include <signal.h>

void *volatile bad_address = (void *)8;

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
#define ROW(name) {#name, scenario_##name},
	SCENARIOS(ROW) SELFTEST_SCENARIOS(ROW) MMIO_SCENARIOS(ROW) SRIOV_SCENARIOS(ROW)
		DSA_SCENARIOS(ROW) PEER_SCENARIOS(ROW)
#undef ROW
};

static const struct {
	const char *name;
	void (*run)(int argc, char **argv);
} helpers[] = {
	{"mmio-exec-2", scenario_mmio_exec_2},
	{"dma-exec-2", scenario_dma_exec_2},
	{"kvm-native", scenario_kvm_native},
	{"exec-2", scenario_exec_2},
	{"background", scenario_background},
	{"await", scenario_await},
	{"churn", scenario_churn},
	{"child-status", scenario_child_status},
};

/* The call that 32-bit C libraries make at their start: set_thread_area(), of nothing. */
static int begin_as_32_bits(void)
{
#ifdef __x86_64__
	long result = 243;

	__asm__ volatile("int $0x80"
			 : "+a"(result)
			 : "b"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return result < 0 ? 0 : 1;
#else
	return 77;
#endif
}

int main(int argc, char **argv)
{
	CHECK(argc >= 2);
	if (!strcmp(argv[1], "exit"))
		return atoi(argv[2]);
	if (!strcmp(argv[1], "raise"))
		return raise(atoi(argv[2]));
	if (!strcmp(argv[1], "abi32"))
		return begin_as_32_bits();
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (!strcmp(argv[1], scenarios[i].name)) {
			scenarios[i].run();
			return 0;
		}
	}
	for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++) {
		if (!strcmp(argv[1], helpers[i].name)) {
			helpers[i].run(argc - 2, argv + 2);
			return 0;
		}
	}
	dprintf(2, "%s: no such scenario\n", argv[1]);
	return CHECK_FAILED;
}
