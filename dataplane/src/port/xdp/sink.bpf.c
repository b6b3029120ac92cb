// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Where measured packets end: compares, counts and drops what an interface receives. It is a
// classifier at the interface's ingress and not an XDP program, because a virtual interface would
// copy each packet for that.
//
//   packet ── without the mark at its end ────────────────▶ other (neighbour discovery, …)
//     │
//   as it should be? ── no ──▶ wrong, and the first of them is kept
//     │
//   delivered, and how long after its stamp
//
// sink.rs repeats names and layouts.

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "bpf.h"

static long (*bpf_skb_load_bytes)(const void *skb, __u32 offset, void *to, __u32 length) =
	(void *)BPF_FUNC_skb_load_bytes;

#define MAX_PACKET 256
#define MAX_WORDS (MAX_PACKET / 8)

// Delays are counted in 2^BITS steps for every power of two: within 1.6 %.
#define BITS 6
#define STEPS (1 << BITS)
#define DELAYS (29 * STEPS)

struct expected {
	__u64 mark;            // the eight bytes before the stamp
	__u32 length;          // of the packet
	__u32 words;           // to compare
	__u32 delays;          // whether to take the time
	__u32 unused;
	__u64 bytes[MAX_WORDS];
	__u64 masks[MAX_WORDS]; // bits that have to be as in `bytes`
};

struct counts {
	__u64 delivered;
	__u64 wrong;
	__u64 other;
};

struct delays {
	__u64 counts[DELAYS];
};

struct sample {
	__u32 length;
	__u32 taken;
	__u8 bytes[MAX_PACKET];
};

struct {
	MAP_VALUE(type, BPF_MAP_TYPE_ARRAY);
	MAP_VALUE(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct expected);
} expectations SEC(".maps");

struct {
	MAP_VALUE(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_VALUE(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct counts);
} counts SEC(".maps");

struct {
	MAP_VALUE(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_VALUE(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct delays);
} delays SEC(".maps");

// The first packets that were wrong, and right.
struct {
	MAP_VALUE(type, BPF_MAP_TYPE_ARRAY);
	MAP_VALUE(max_entries, 2);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct sample);
} samples SEC(".maps");

static __always_inline __u32 step_of(__u64 delay)
{
	__u32 power = 0, step;
	__u64 rest = delay >> BITS;

	if (!rest)
		return delay;
	if (rest >> 16) {
		rest >>= 16;
		power += 16;
	}
	if (rest >> 8) {
		rest >>= 8;
		power += 8;
	}
	if (rest >> 4) {
		rest >>= 4;
		power += 4;
	}
	if (rest >> 2) {
		rest >>= 2;
		power += 2;
	}
	if (rest >> 1)
		power += 1;
	// 2^(BITS+power) <= delay < 2^(BITS+power+1)
	step = ((power + 1) << BITS) + ((delay >> power) & (STEPS - 1));
	return step < DELAYS ? step : DELAYS - 1;
}

static __always_inline void take(struct __sk_buff *skb, __u32 key)
{
	struct sample *sample = bpf_map_lookup_elem(&samples, &key);
	__u64 length = skb->len;

	if (!sample || sample->taken)
		return;
	if (length > MAX_PACKET)
		length = MAX_PACKET;
	forget(length);
	if (length < 1)
		return;
	sample->taken = 1;
	sample->length = length;
	bpf_skb_load_bytes(skb, 0, sample->bytes, length);
}

static __always_inline int as_expected(struct __sk_buff *skb, const struct expected *expected)
{
	const void *data = (void *)(long)skb->data;
	const void *end = (void *)(long)skb->data_end;
	__u32 i;

	if (skb->len != expected->length)
		return 0;
	for (i = 0; i < MAX_WORDS; i++) {
		const __u64 *word = data + 8 * i;

		if (i >= expected->words)
			break;
		if ((void *)(word + 1) > end)
			return 0;
		if ((*word ^ expected->bytes[i]) & expected->masks[i])
			return 0;
	}
	return 1;
}

SEC("classifier")
int sink(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 tail[2]; // mark and stamp
	const struct expected *expected = bpf_map_lookup_elem(&expectations, &key);
	struct counts *count = bpf_map_lookup_elem(&counts, &key);
	struct delays *delay;

	if (!expected || !count)
		return TC_ACT_SHOT;
	if (skb->len < sizeof(tail) ||
	    bpf_skb_load_bytes(skb, skb->len - sizeof(tail), tail, sizeof(tail)) ||
	    tail[0] != expected->mark) {
		count->other++;
		return TC_ACT_SHOT;
	}
	if (!as_expected(skb, expected)) {
		count->wrong++;
		take(skb, 0);
		return TC_ACT_SHOT;
	}
	if (!count->delivered)
		take(skb, 1);
	count->delivered++;
	if (expected->delays) {
		__u64 now = bpf_ktime_get_ns();
		__u32 step = now > tail[1] ? step_of(now - tail[1]) : 0;

		delay = bpf_map_lookup_elem(&delays, &key);
		if (delay && step < DELAYS)
			delay->counts[step]++;
	}
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual MIT/GPL";
