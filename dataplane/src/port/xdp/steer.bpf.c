// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Decides for every packet that an interface receives whether it is the kernel's or ours.
//
//   frame ── of an interface that is steered as a whole ───────────▶ Sidewinder
//     │
//     ├── not IPv4 or IPv6, or to a group MAC ─────────────────▶ kernel
//     │
//   destination ── multicast, link-local, broadcast ──────────────▶ kernel
//     ├── own address of the host ────────────────────────────────▶ kernel
//     │      (with a routing header, or with options that one may follow: ours, RFC 8754 4.3.2;
//     │       and errors about what we have encapsulated, RFC 8754 5.4)
//     ├── in a prefix that is left to the kernel ─────────────────▶ kernel
//     ├── not steered, if only steered prefixes are ours ─────────▶ kernel
//     └── everything else ── socket of this queue ────────────────▶ Sidewinder
//                               └── there is none ────────────────▶ kernel
//
// The maps are filled by steer.rs, which repeats names and layouts.

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "bpf.h"

static long (*bpf_redirect_map)(void *map, __u64 key, __u64 flags) = (void *)BPF_FUNC_redirect_map;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define be16(x) ((__u16)__builtin_bswap16(x))
#define be32(x) ((__u32)__builtin_bswap32(x))
#else
#define be16(x) ((__u16)(x))
#define be32(x) ((__u32)(x))
#endif

// Bits of the setting.
#define REDIRECT_IPV4 1 // IPv4 is ours, too; else it is the kernel's
#define ONLY_STEERED 2  // only what is ours in `steered6` or `steered4` is ours
#define SOME_LEFT 4     // something in `steered6` or `steered4` is the kernel's
#define ALL_FRAMES 8    // every frame is ours
#define ENCAPSULATES 16 // we do, so errors about packets with a packet inside are ours

// An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d.
struct address {
	__u8 bytes[16];
};

struct prefix6 {
	__u32 length; // bits
	__u8 bytes[16];
};

struct prefix4 {
	__u32 length; // bits
	__u8 bytes[4];
};

struct {
	MAP_VALUE(type, BPF_MAP_TYPE_ARRAY);
	MAP_VALUE(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, __u32);
} settings SEC(".maps");

// AF_XDP sockets by queue. steer.rs makes it as large as the interface has queues.
struct {
	MAP_VALUE(type, BPF_MAP_TYPE_XSKMAP);
	MAP_VALUE(max_entries, 64);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, __u32);
} sockets SEC(".maps");

// The host's own addresses, without local SIDs.
struct {
	MAP_VALUE(type, BPF_MAP_TYPE_HASH);
	MAP_VALUE(max_entries, 65536);
	MAP_VALUE(map_flags, BPF_F_NO_PREALLOC);
	MAP_TYPE(key, struct address);
	MAP_TYPE(value, __u8);
} hosts SEC(".maps");

// Prefixes that are ours (1) or the kernel's (0).
struct {
	MAP_VALUE(type, BPF_MAP_TYPE_LPM_TRIE);
	MAP_VALUE(max_entries, 4194304);
	MAP_VALUE(map_flags, BPF_F_NO_PREALLOC);
	MAP_TYPE(key, struct prefix6);
	MAP_TYPE(value, __u8);
} steered6 SEC(".maps");

struct {
	MAP_VALUE(type, BPF_MAP_TYPE_LPM_TRIE);
	MAP_VALUE(max_entries, 4194304);
	MAP_VALUE(map_flags, BPF_F_NO_PREALLOC);
	MAP_TYPE(key, struct prefix4);
	MAP_TYPE(value, __u8);
} steered4 SEC(".maps");

// To the socket of this queue; to the kernel where there is none.
static __always_inline int ours(struct xdp_md *ctx)
{
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}

// Whether a header is a routing header, or one that comes before it (RFC 8200, 4.1).
static __always_inline int may_route(__u8 header)
{
	return header == IPPROTO_ROUTING || header == IPPROTO_HOPOPTS || header == IPPROTO_DSTOPTS;
}

// Whether a packet is an ICMPv6 error about a packet from its destination that has, or may have
// behind its segment list, another packet inside.
static __always_inline int is_about_cargo(const struct ipv6hdr *ip, const void *end)
{
	const struct icmp6hdr *icmp = (void *)(ip + 1);
	const struct ipv6hdr *outer = (void *)(icmp + 1);

	if (ip->nexthdr != IPPROTO_ICMPV6 || (void *)(outer + 1) > end)
		return 0;
	if (icmp->icmp6_type >= ICMPV6_ECHO_REQUEST)
		return 0;
	for (int word = 0; word < 4; word++)
		if (outer->saddr.s6_addr32[word] != ip->daddr.s6_addr32[word])
			return 0;
	return outer->nexthdr == IPPROTO_ROUTING || outer->nexthdr == IPPROTO_IPV6 ||
	       outer->nexthdr == IPPROTO_IPIP;
}

// Whether a packet is ours by what the prefixes say of its destination.
static __always_inline int is_ours(const __u8 *said, __u32 setting)
{
	return said ? *said : !(setting & ONLY_STEERED);
}

static __always_inline int steer_ipv6(struct xdp_md *ctx, const struct ipv6hdr *ip,
				      const void *end, __u32 setting)
{
	struct address host;
	const __u8 *destination = ip->daddr.s6_addr;

	if (destination[0] == 0xff) // multicast, ff00::/8
		return XDP_PASS;
	if (destination[0] == 0xfe && (destination[1] & 0xc0) == 0x80) // link-local, fe80::/10
		return XDP_PASS;

	__builtin_memcpy(host.bytes, destination, sizeof(host.bytes));
	if (bpf_map_lookup_elem(&hosts, &host)) {
		if (may_route(ip->nexthdr))
			return ours(ctx);
		if (setting & ENCAPSULATES && is_about_cargo(ip, end))
			return ours(ctx);
		return XDP_PASS;
	}

	if (setting & (ONLY_STEERED | SOME_LEFT)) {
		struct prefix6 prefix = {.length = 128};

		__builtin_memcpy(prefix.bytes, destination, sizeof(prefix.bytes));
		if (!is_ours(bpf_map_lookup_elem(&steered6, &prefix), setting))
			return XDP_PASS;
	}
	return ours(ctx);
}

static __always_inline int steer_ipv4(struct xdp_md *ctx, const struct iphdr *ip, __u32 setting)
{
	struct address host = {.bytes = {[10] = 0xff, [11] = 0xff}};
	__u32 destination = be32(ip->daddr);

	if (!(setting & REDIRECT_IPV4))
		return XDP_PASS;
	if (destination >> 28 == 14) // multicast, 224.0.0.0/4
		return XDP_PASS;
	if (destination == 0xffffffff) // broadcast
		return XDP_PASS;
	if (destination >> 16 == 0xa9fe) // link-local, 169.254.0.0/16
		return XDP_PASS;

	__builtin_memcpy(&host.bytes[12], &ip->daddr, sizeof(ip->daddr));
	if (bpf_map_lookup_elem(&hosts, &host))
		return XDP_PASS;

	if (setting & (ONLY_STEERED | SOME_LEFT)) {
		struct prefix4 prefix = {.length = 32};

		__builtin_memcpy(prefix.bytes, &ip->daddr, sizeof(prefix.bytes));
		if (!is_ours(bpf_map_lookup_elem(&steered4, &prefix), setting))
			return XDP_PASS;
	}
	return ours(ctx);
}

// "frags": on an interface with a large MTU, too, the driver runs this program. Packets longer than
// a frame of ours reach the kernel if they are the kernel's, and are dropped and counted by the
// socket (rx_dropped) if they are ours.
SEC("xdp.frags")
int steer(struct xdp_md *ctx)
{
	const void *end = (void *)(long)ctx->data_end;
	const struct ethhdr *ethernet = (void *)(long)ctx->data;
	const void *payload = ethernet + 1;
	const __u32 *setting;
	__u32 key = 0;

	if (payload > end)
		return XDP_PASS;
	setting = bpf_map_lookup_elem(&settings, &key);
	if (!setting)
		return XDP_PASS;
	if (*setting & ALL_FRAMES)
		return ours(ctx);
	if (ethernet->h_dest[0] & 1) // multicast or broadcast
		return XDP_PASS;

	switch (ethernet->h_proto) {
	case be16(ETH_P_IPV6):
		if (payload + sizeof(struct ipv6hdr) > end)
			return XDP_PASS;
		return steer_ipv6(ctx, payload, end, *setting);
	case be16(ETH_P_IP):
		if (payload + sizeof(struct iphdr) > end)
			return XDP_PASS;
		return steer_ipv4(ctx, payload, *setting);
	default: // ARP, VLAN, LLDP, IS-IS and everything else
		return XDP_PASS;
	}
}

char _license[] SEC("license") = "Dual MIT/GPL";
