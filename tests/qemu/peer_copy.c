// SPDX-License-Identifier: MIT
/*
 * A kernel module for a guest that has two DMA engines with channels of the kernel's
 * dmaengine, and a copy engine, whose VRAM is the target: peer-to-peer as a driver would
 * do it. Loading it is the test; it says in the log what holds, and fails with EIO at the
 * first thing that does not.
 *
 * One engine copies from RAM to the peer, the other back. Without its memory (PCI command
 * register) the peer is not reached: that is an error, and leaves RAM as it was.
 */
#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

#define PEER_VENDOR 0x1234
#define PEER_DEVICE 0xce01
#define PEER_BAR    2

/* Nothing here is aligned to a page. */
#define BYTES  (200 * 1024 + 24)
#define OFFSET (64 * 1024 + 8)

enum direction {
	TO_PEER,
	FROM_PEER,
};

struct copy {
	struct completion done;
	enum dmaengine_tx_result result;
};

static struct pci_dev *peer;
static u8 __iomem *vram;
static struct dma_chan *channels[2];
static u8 *ram, *seen;

static void completed(void *data, const struct dmaengine_result *result)
{
	struct copy *copy = data;

	copy->result = result->result;
	complete(&copy->done);
}

/* 0: done. EREMOTEIO: the engine says that it failed. Another: it was not begun. */
static int submit(struct dma_chan *chan, dma_addr_t to, dma_addr_t from)
{
	const unsigned long flags = DMA_PREP_INTERRUPT | DMA_CTRL_ACK;
	struct dma_async_tx_descriptor *tx;
	struct copy copy;

	tx = dmaengine_prep_dma_memcpy(chan, to, from, BYTES, flags);
	if (!tx)
		return -EBUSY;
	init_completion(&copy.done);
	tx->callback_result = completed;
	tx->callback_param = &copy;
	if (dma_submit_error(dmaengine_submit(tx)))
		return -EBUSY;
	dma_async_issue_pending(chan);
	wait_for_completion(&copy.done);
	return copy.result == DMA_TRANS_NOERROR ? 0 : -EREMOTEIO;
}

static int copy(struct dma_chan *chan, enum direction direction)
{
	struct device *dev = chan->device->dev;
	phys_addr_t bar = pci_resource_start(peer, PEER_BAR) + OFFSET;
	dma_addr_t memory, remote;
	int err = -ENOMEM;

	memory = dma_map_single(dev, ram, BYTES, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, memory))
		return err;
	remote = dma_map_resource(dev, bar, BYTES, DMA_BIDIRECTIONAL, 0);
	if (!dma_mapping_error(dev, remote)) {
		err = direction == TO_PEER ? submit(chan, remote, memory)
					   : submit(chan, memory, remote);
		dma_unmap_resource(dev, remote, BYTES, DMA_BIDIRECTIONAL, 0);
	}
	dma_unmap_single(dev, memory, BYTES, DMA_BIDIRECTIONAL);
	return err;
}

static void fill(u8 *bytes, u8 seed)
{
	u32 i;

	for (i = 0; i < BYTES; i++)
		bytes[i] = (u8)(i * 7 + (i >> 8) * 13 + seed);
}

static bool holds(bool ok, const char *what)
{
	if (ok)
		pr_info("peer_copy: %s\n", what);
	else
		pr_err("peer_copy: does not hold: %s\n", what);
	return ok;
}

static bool there_and_back(u8 seed)
{
	fill(ram, seed);
	if (!holds(!copy(channels[0], TO_PEER), "one engine copies to the peer"))
		return false;
	memcpy_fromio(seen, vram + OFFSET, BYTES);
	if (!holds(!memcmp(seen, ram, BYTES), "the CPU sees it there"))
		return false;
	memset(ram, 0, BYTES);
	return holds(!copy(channels[1], FROM_PEER), "the other copies from there") &&
	       holds(!memcmp(seen, ram, BYTES), "what it got is right");
}

static void set_memory(bool on)
{
	u16 command;

	pci_read_config_word(peer, PCI_COMMAND, &command);
	command &= ~PCI_COMMAND_MEMORY;
	pci_write_config_word(peer, PCI_COMMAND, command | (on ? PCI_COMMAND_MEMORY : 0));
}

static bool without_memory(void)
{
	int to, from;

	fill(ram, 1);
	fill(seen, 1);
	set_memory(false);
	to = copy(channels[0], TO_PEER);
	from = copy(channels[1], FROM_PEER);
	set_memory(true);
	return holds(to == -EREMOTEIO, "a copy to a peer without memory fails") &&
	       holds(from == -EREMOTEIO, "a copy from there, too") &&
	       holds(!memcmp(seen, ram, BYTES), "and writes nothing");
}

static int find_engines(void)
{
	dma_cap_mask_t mask;
	int i;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	for (i = 0; i < ARRAY_SIZE(channels); i++) {
		channels[i] = dma_request_channel(mask, NULL, NULL);
		if (!channels[i])
			return -ENODEV;
	}
	return channels[0]->device == channels[1]->device ? -ENODEV : 0;
}

static int find_peer(void)
{
	int err;

	peer = pci_get_device(PEER_VENDOR, PEER_DEVICE, NULL);
	if (!peer)
		return -ENODEV;
	err = pci_enable_device_mem(peer);
	if (err)
		return err;
	vram = pci_iomap(peer, PEER_BAR, 0);
	return vram ? 0 : -ENOMEM;
}

static void release(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(channels); i++)
		if (channels[i])
			dma_release_channel(channels[i]);
	if (vram)
		pci_iounmap(peer, vram);
	if (peer && pci_is_enabled(peer))
		pci_disable_device(peer);
	pci_dev_put(peer);
	kfree(ram);
	kfree(seen);
}

static int __init peer_copy_init(void)
{
	int err = -ENOMEM;

	ram = kmalloc(BYTES, GFP_KERNEL);
	seen = kmalloc(BYTES, GFP_KERNEL);
	if (ram && seen)
		err = find_peer();
	if (!err)
		err = find_engines();
	if (!err && !(there_and_back(2) && without_memory() && there_and_back(3)))
		err = -EIO;
	release();
	return err;
}

static void __exit peer_copy_exit(void)
{
}

module_init(peer_copy_init);
module_exit(peer_copy_exit);
MODULE_DESCRIPTION("peer-to-peer with two DMA engines");
MODULE_LICENSE("Dual MIT/GPL");
