// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Makes packets for measurements. The kernel runs `generate` on pages of its own in a loop
// (BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES), as if they had been received by a virtual
// interface; XDP_TX sends them out of it.
//
//   a page ── flood: at once ──────────────────────────────────┐
//     │                                                        ▼
//     └── paced ── the next packet is not due ──▶ XDP_DROP   the packet, XDP_TX
//                       └── it is, or was ─────────────────────▲
//
// The clock is looked at here and not in user space, so that packets are as far apart as they
// should be. generator.rs repeats names and layouts.

#include <linux/bpf.h>

#include "bpf.h"

static long (*bpf_xdp_store_bytes)(struct xdp_md *ctx, __u32 offset, void *from, __u32 length) =
	(void *)BPF_FUNC_xdp_store_bytes;

// Fractions of a nanosecond that times are counted in: 2^-16.
#define FRACTION 16

#define MAX_PACKET 256

struct packet {
	__u32 length;
	__u32 unused;
	__u8 bytes[MAX_PACKET];
};

struct pace {
	__u64 interval;  // between packets, in fractions of a nanosecond; 0: as fast as it goes
	__u64 duration;  // of the trial, in nanoseconds
	__u64 patience;  // what is overdue for longer is given up, in fractions of a nanosecond
	__u64 begin;     // of the trial, in nanoseconds of the monotonic clock; 0 before it
	__u64 last;      // when the clock was looked at
	__u64 due;       // when the next packet is to leave, after `begin`, in fractions
	__u64 sent;      // packets
	__u64 forgone;   // packets that were given up
};

// Packets of a flood for which the clock is looked at once.
#define FLOOD_CLOCK 256

struct {
	MAP_VALUE(type, BPF_MAP_TYPE_ARRAY);
	MAP_VALUE(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct packet);
} packets SEC(".maps");

struct {
	MAP_VALUE(type, BPF_MAP_TYPE_ARRAY);
	MAP_VALUE(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct pace);
} paces SEC(".maps");

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u64 stamp = 0, now, length;
	__u32 key = 0;
	struct packet *packet = bpf_map_lookup_elem(&packets, &key);
	struct pace *pace = bpf_map_lookup_elem(&paces, &key);

	if (!packet || !pace)
		return XDP_DROP;
	if (pace->interval || pace->sent % FLOOD_CLOCK == 0) {
		stamp = bpf_ktime_get_ns();
		if (!pace->begin)
			pace->begin = stamp;
		pace->last = stamp;
		if (stamp - pace->begin >= pace->duration)
			return XDP_DROP;
	}
	if (pace->interval) {
		now = (stamp - pace->begin) << FRACTION;
		if (now < pace->due)
			return XDP_DROP;
		// A generator that got no turn catches up with what a router has to be able to hold.
		// The rest would test buffers only; it counts as not offered.
		if (now - pace->due > pace->patience) {
			__u64 late = (now - pace->due - pace->patience) / pace->interval + 1;

			pace->forgone += late;
			pace->due += late * pace->interval;
		}
		// When it should leave: what it waits for a late generator is part of its delay.
		stamp = pace->begin + (pace->due >> FRACTION);
		pace->due += pace->interval;
	}

	// The page may be one that a router has written to: everything is written anew.
	length = packet->length;
	if (length > MAX_PACKET)
		return XDP_DROP;
	forget(length);
	if (length <= sizeof(stamp))
		return XDP_DROP;
	if (bpf_xdp_store_bytes(ctx, 0, packet->bytes, length))
		return XDP_DROP;
	length -= sizeof(stamp);
	if (bpf_xdp_store_bytes(ctx, length, &stamp, sizeof(stamp)))
		return XDP_DROP;
	pace->sent++;
	return XDP_TX;
}

// Makes the interface one that has an XDP program, which is what live frames need.
SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
