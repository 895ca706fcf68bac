/* SPDX-License-Identifier: MIT */
/*
 * The 82576's registers, as far as the model gives them a meaning: offsets in BAR 0 and
 * bits, named as in the data sheet (Intel 82576 Gigabit Ethernet Controller, chapter 8).
 */
#ifndef DEVICES_IGB_HW_H
#define DEVICES_IGB_HW_H

#define IGB_REGS_BYTES 0x20000u
#define IGB_QUEUES     16u
#define IGB_VECTORS    10u
#define IGB_POOLS      8u /* of two queues each: n and n + 8 */
#define IGB_VFS        7u
#define IGB_VF_VECTORS 3u

enum igb_reg {
	IGB_CTRL = 0x00000,
	IGB_STATUS = 0x00008,
	IGB_EECD = 0x00010,
	IGB_EERD = 0x00014,
	IGB_CTRL_EXT = 0x00018,
	IGB_MDIC = 0x00020,
	IGB_VET = 0x00038,
	IGB_ICR = 0x000c0,
	IGB_ICS = 0x000c8,
	IGB_IMS = 0x000d0,
	IGB_IMC = 0x000d8,
	IGB_IAM = 0x000e0,
	IGB_RCTL = 0x00100,
	IGB_TCTL = 0x00400,
	IGB_TIPG = 0x00410,
	IGB_VMBMEM = 0x00800, /* 64 bytes for each virtual function */
	IGB_PFMAILBOX = 0x00c00,
	IGB_MBVFICR = 0x00c80,
	IGB_MBVFIMR = 0x00c84,
	IGB_VFLRE = 0x00c88,
	IGB_VFRE = 0x00c8c,
	IGB_VFTE = 0x00c90,
	IGB_EEMNGCTL = 0x01010,
	IGB_FRTIMER = 0x01048,
	IGB_GPIE = 0x01514,
	IGB_EICS = 0x01520,
	IGB_EIMS = 0x01524,
	IGB_EIMC = 0x01528,
	IGB_EIAC = 0x0152c,
	IGB_EIAM = 0x01530,
	IGB_EICR = 0x01580,
	IGB_EITR = 0x01680,
	IGB_IVAR = 0x01700,
	IGB_IVAR_MISC = 0x01740,
	IGB_RXPBS = 0x02404,
	IGB_TXPBS = 0x03404,
	IGB_DTXSWC = 0x03500,
	IGB_WVBR = 0x03554,
	IGB_RXCSUM = 0x05000,
	IGB_RLPML = 0x05004,
	IGB_MTA = 0x05200,
	IGB_RA = 0x05400,
	IGB_PSRTYPE = 0x05480,
	IGB_RA2 = 0x054e0,
	IGB_VFTA = 0x05600,
	IGB_MRQC = 0x05818,
	IGB_VT_CTL = 0x0581c,
	IGB_VMOLR = 0x05ad0,
	IGB_GCR = 0x05b00,
	IGB_SWSM = 0x05b50,
	IGB_FWSM = 0x05b54,
	IGB_SW_FW_SYNC = 0x05b5c,
	IGB_VLVF = 0x05d00,
	IGB_UTA = 0x0a000,
};

/*
 * Of a virtual function, where they are not at the place of the physical function's. Its
 * queues are 0 and 1, its mailbox is the only one.
 */
enum igb_vf_reg {
	IGB_VF_MAILBOX = 0x00c40,
	IGB_VF_PSRTYPE = 0x00f0c,
	IGB_VF_COUNTERS = 0x00f10,
	IGB_VF_COUNTERS_LAST = 0x00f50,
};

/* Counters of a virtual function; never cleared. LB: of the switch inside. */
enum igb_vf_counter {
	IGB_VFGPRC = 0x00f10,
	IGB_VFGPTC = 0x00f14,
	IGB_VFGORC = 0x00f18,
	IGB_VFGOTC = 0x00f34,
	IGB_VFMPRC = 0x00f3c,
	IGB_VFGPRLBC = 0x00f40,
	IGB_VFGPTLBC = 0x00f44,
	IGB_VFGORLBC = 0x00f48,
	IGB_VFGOTLBC = 0x00f50,
};

/* Of a queue: from the start of its registers. */
enum igb_queue_reg {
	IGB_Q_BAL = 0x00,
	IGB_Q_BAH = 0x04,
	IGB_Q_LEN = 0x08,
	IGB_Q_SRRCTL = 0x0c, /* receive queues only */
	IGB_Q_HEAD = 0x10,
	IGB_Q_TAIL = 0x18,
	IGB_Q_DCTL = 0x28,
	IGB_Q_WBAL = 0x38, /* transmit queues only */
	IGB_Q_WBAH = 0x3c,
};

/* Statistics: cleared when read. */
enum igb_counter {
	IGB_CRCERRS = 0x04000,
	IGB_MPC = 0x04010,
	IGB_PRC64 = 0x0405c, /* and five more, by size */
	IGB_GPRC = 0x04074,
	IGB_BPRC = 0x04078,
	IGB_MPRC = 0x0407c,
	IGB_GPTC = 0x04080,
	IGB_GORCL = 0x04088,
	IGB_GOTCL = 0x04090,
	IGB_RNBC = 0x040a0,
	IGB_RUC = 0x040a4,
	IGB_ROC = 0x040ac,
	IGB_TORL = 0x040c0,
	IGB_TOTL = 0x040c8,
	IGB_TPR = 0x040d0,
	IGB_TPT = 0x040d4,
	IGB_PTC64 = 0x040d8, /* and five more, by size */
	IGB_MPTC = 0x040f0,
	IGB_BPTC = 0x040f4,
	IGB_TSCTC = 0x040f8,
	IGB_IAC = 0x04100,
	IGB_RPTHC = 0x04104,
	IGB_HGPTC = 0x04118,
	IGB_HGORCL = 0x04128,
	IGB_HGOTCL = 0x04130,
	IGB_COUNTERS_LAST = 0x04138,
};

#define CTRL_FD                (1u << 0)
#define CTRL_GIO_MASTER_OFF    (1u << 2)
#define CTRL_SLU               (1u << 6)
#define CTRL_SPEED_1000        (2u << 8)
#define CTRL_ADVD3WUC          (1u << 20)
#define CTRL_RST               (1u << 26)
#define CTRL_VME               (1u << 30)
#define CTRL_PHY_RST           (1u << 31)

#define CTRL_EXT_PFRSTD        (1u << 14)

#define STATUS_FD              (1u << 0)
#define STATUS_LU              (1u << 1)
#define STATUS_SPEED_1000      (2u << 6)
#define STATUS_PHYRA           (1u << 10)
#define STATUS_GIO_MASTER      (1u << 19)

#define EECD_REQ               (1u << 6)
#define EECD_GNT               (1u << 7)
#define EECD_PRES              (1u << 8)
#define EECD_AUTO_RD           (1u << 9)
#define EECD_ADDR_BITS         (1u << 10)
#define EECD_SIZE_SHIFT        11

#define EERD_START             (1u << 0)
#define EERD_DONE              (1u << 1)

#define MDIC_OP_WRITE          (1u << 26)
#define MDIC_OP_READ           (2u << 26)
#define MDIC_OP                (3u << 26)
#define MDIC_READY             (1u << 28)
#define MDIC_INT               (1u << 29)
#define MDIC_ERROR             (1u << 30)

#define EEMNGCTL_CFG_DONE      (1u << 18)

#define ICR_TXDW               (1u << 0)
#define ICR_LSC                (1u << 2)
#define ICR_RXDW               (1u << 7)
#define ICR_VMMB               (1u << 8)
#define ICR_MDAC               (1u << 9)
#define ICR_DOUTSYNC           (1u << 28)
#define ICR_INTA               (1u << 31)

#define GPIE_NSICR             (1u << 0)
#define GPIE_MULTIPLE_MSIX     (1u << 4)
#define GPIE_EIAME             (1u << 30)

#define EICR_VECTORS           0x01ffffffu
#define EICR_OTHER             (1u << 31)
#define IVAR_VALID             0x80u

#define RCTL_RXEN              (1u << 1)
#define RCTL_SBP               (1u << 2)
#define RCTL_UPE               (1u << 3)
#define RCTL_MPE               (1u << 4)
#define RCTL_LPE               (1u << 5)
#define RCTL_LBM               (3u << 6)
#define RCTL_BAM               (1u << 15)
#define RCTL_VFE               (1u << 18)
#define RCTL_SECRC             (1u << 26)

#define TCTL_EN                (1u << 1)
#define TCTL_PSP               (1u << 3)

#define QUEUE_ENABLE           (1u << 25) /* RXDCTL, TXDCTL */
#define WBAL_ENABLE            (1u << 0)

#define RAH_AV                 (1u << 31)
#define RAH_POOLS(rah)         ((rah) >> 18 & 0xff)

#define RXCSUM_IPOFL           (1u << 8)
#define RXCSUM_TUOFL           (1u << 9)

#define MRQC_MODE(v)           ((v)&7u)
#define MRQC_VMDQ              3u
#define MRQC_VMDQ_RSS          5u
#define MRQC_DEFAULT_QUEUE(v)  ((v) >> 3 & 7u)
#define VT_CTL_DEFAULT_POOL(v) ((v) >> 7 & 7u)
#define VT_CTL_NO_DEFAULT      (1u << 29)
#define VT_CTL_REPLICATION     (1u << 30)

#define DTXSWC_MAC_SPOOF(v)    ((v)&0xffu)
#define DTXSWC_VLAN_SPOOF(v)   ((v) >> 8 & 0xffu)
#define DTXSWC_LOCAL(v)        ((v) >> 16 & 0xffu) /* also to the pool it comes from */
#define DTXSWC_LOOPBACK        (1u << 31)

#define VMOLR_RLPML            0x3fffu
#define VMOLR_LPE              (1u << 16)
#define VMOLR_AUPE             (1u << 24)
#define VMOLR_ROMPE            (1u << 25)
#define VMOLR_ROPE             (1u << 26)
#define VMOLR_BAM              (1u << 27)
#define VMOLR_MPME             (1u << 28)
#define VMOLR_STRVLAN          (1u << 30)

#define VLVF_ID(v)             ((v)&0xfffu)
#define VLVF_POOLS(v)          ((v) >> 12 & 0xffu)
#define VLVF_ENABLE            (1u << 31)

/* Who owns a mailbox: the same bits in both registers. */
#define MAILBOX_VFU     (1u << 2)
#define MAILBOX_PFU     (1u << 3)
#define PFMAILBOX_STS   (1u << 0)
#define PFMAILBOX_ACK   (1u << 1)
#define PFMAILBOX_RVFU  (1u << 4)
#define VFMAILBOX_REQ   (1u << 0)
#define VFMAILBOX_ACK   (1u << 1)
#define VFMAILBOX_PFSTS (1u << 4)
#define VFMAILBOX_PFACK (1u << 5)
#define VFMAILBOX_RSTI  (1u << 6)
#define VFMAILBOX_RSTD  (1u << 7)
#define MBVFICR_REQ(vf) (1u << (vf))
#define MBVFICR_ACK(vf) (1u << (16 + (vf)))

#define SWSM_SMBI       (1u << 0)

/* The PHY. */
#define PHY_ADDRESS     1u
#define PHY_CONTROL     0u
#define PHY_PAGE_SELECT 31u
#define BMCR_RESET      (1u << 15)
#define BMCR_LOOPBACK   (1u << 14)
#define BMCR_POWER_DOWN (1u << 11)
#define BMCR_RESTART    (1u << 9)

/* Descriptors: command and status bits, as they lie in their 32-bit words. */
#define TX_EOP          (1u << 24)
#define TX_IFCS         (1u << 25)
#define TX_INSERT_CSUM  (1u << 26) /* legacy */
#define TX_RS           (1u << 27)
#define TX_DEXT         (1u << 29)
#define TX_VLE          (1u << 30)
#define TX_TSE          (1u << 31) /* advanced */
#define TX_TYPE(cmd)    ((cmd) >> 20 & 0xf)
#define TX_TYPE_CONTEXT 2u
#define TX_TYPE_DATA    3u
#define TX_IXSM         (1u << 8)
#define TX_TXSM         (1u << 9)
#define TX_DD           (1u << 0)

#define RX_DD           (1u << 0)
#define RX_EOP          (1u << 1)
#define RX_VP           (1u << 3)
#define RX_UDPCS        (1u << 4)
#define RX_L4CS         (1u << 5)
#define RX_IPCS         (1u << 6)
#define RX_L4E          (1u << 29)
#define RX_IPE          (1u << 30)
#define RX_RXE          (1u << 31)

#endif
