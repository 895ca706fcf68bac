/* SPDX-License-Identifier: MIT */
/* Every scenario, once: SCENARIO(name) is scenario_name(), "name" on the command line. */
#ifndef TESTS_HOST_SCENARIOS_H
#define TESTS_HOST_SCENARIOS_H

#define SCENARIOS(SCENARIO)                                                              \
	SCENARIO(iommu)                                                                  \
	SCENARIO(close)                                                                  \
	SCENARIO(dup)                                                                    \
	SCENARIO(fork)                                                                   \
	SCENARIO(exec)                                                                   \
	SCENARIO(vfork)                                                                  \
	SCENARIO(threads)                                                                \
	SCENARIO(first_thread_gone)                                                      \
	SCENARIO(pass)                                                                   \
	SCENARIO(many)                                                                   \
	SCENARIO(limits)                                                                 \
	SCENARIO(native)                                                                 \
	SCENARIO(signals)                                                                \
	SCENARIO(stall)                                                                  \
	SCENARIO(undumpable)                                                             \
	SCENARIO(namespaces)                                                             \
	SCENARIO(dma)                                                                    \
	SCENARIO(dma_fork)                                                               \
	SCENARIO(dma_exec)                                                               \
	SCENARIO(regions)                                                                \
	SCENARIO(dmabuf)                                                                 \
	SCENARIO(memlock)                                                                \
	SCENARIO(queue)                                                                  \
	SCENARIO(ioeventfd)                                                              \
	SCENARIO(dirty_log)                                                              \
	SCENARIO(group_in_iommufd)                                                       \
	SCENARIO(kvm)                                                                    \
	SCENARIO(cycle)                                                                  \
	SCENARIO(qemu_walk)                                                              \
	SCENARIO(stat)                                                                   \
	SCENARIO(open)                                                                   \
	SCENARIO(relative)                                                               \
	SCENARIO(readlink)                                                               \
	SCENARIO(access)                                                                 \
	SCENARIO(listing)                                                                \
	SCENARIO(reopen)                                                                 \
	SCENARIO(chdir)                                                                  \
	SCENARIO(map_resource)                                                           \
	SCENARIO(vectors)                                                                \
	SCENARIO(duplicates)                                                             \
	SCENARIO(host_paths)

/* With registers that fault. */
#define MMIO_SCENARIOS(SCENARIO)                                                         \
	SCENARIO(mmio)                                                                   \
	SCENARIO(mmio_forms)                                                             \
	SCENARIO(mmio_threads)                                                           \
	SCENARIO(mmio_fork)                                                              \
	SCENARIO(mmio_children)                                                          \
	SCENARIO(mmio_exec)                                                              \
	SCENARIO(mmio_signals)                                                           \
	SCENARIO(mmio_memory_off)                                                        \
	SCENARIO(mmio_kernel)                                                            \
	SCENARIO(mmio_engine)                                                            \
	SCENARIO(mmio_container)

/* With virtual functions. */
#define SRIOV_SCENARIOS(SCENARIO)                                                        \
	SCENARIO(sriov)                                                                  \
	SCENARIO(sriov_waits)

/* With peers: two engines, nesting, a virtual function, BARs mapped by address. */
#define PEER_SCENARIOS(SCENARIO)                                                         \
	SCENARIO(kill_exporter)                                                          \
	SCENARIO(kill_importer)                                                          \
	SCENARIO(kill_revoking_exporter)                                                 \
	SCENARIO(kill_mapping_importer)                                                  \
	SCENARIO(unbind)                                                                 \
	SCENARIO(override)                                                               \
	SCENARIO(remove_function)

/* With a DSA that has PASIDs and asks for pages. */
#define DSA_SCENARIOS(SCENARIO) SCENARIO(dsa)

/* With --selftest. */
#define SELFTEST_SCENARIOS(SCENARIO)                                                     \
	SCENARIO(fail_nth)                                                               \
	SCENARIO(fault_knobs)

#define DECLARE(name) void scenario_##name(void);
SCENARIOS(DECLARE)
SELFTEST_SCENARIOS(DECLARE)
MMIO_SCENARIOS(DECLARE)
SRIOV_SCENARIOS(DECLARE)
DSA_SCENARIOS(DECLARE)
PEER_SCENARIOS(DECLARE)
#undef DECLARE

/* Helpers of others, with arguments; not run by themselves. */
void scenario_dma_exec_2(int argc, char **argv);
void scenario_mmio_exec_2(int argc, char **argv);
void scenario_kvm_native(int argc, char **argv);
void scenario_exec_2(int argc, char **argv);
void scenario_background(int argc, char **argv);
void scenario_await(int argc, char **argv);
void scenario_child_status(int argc, char **argv);
void scenario_churn(int argc, char **argv);

#endif
