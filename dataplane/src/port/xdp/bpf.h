/* SPDX-License-Identifier: MIT OR Apache-2.0 */
// The few things of libbpf's bpf_helpers.h that the programs here need.

#define SEC(name) __attribute__((section(name), used))
#define MAP_VALUE(name, value) int(*name)[value]
#define MAP_TYPE(name, type) typeof(type) *name

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)BPF_FUNC_ktime_get_ns;

// Has the compiler forget what it knows about a variable, so that it leaves the comparisons that
// follow as they are written: the verifier takes bounds from those, and not from what they are
// combined to.
#define forget(variable) asm volatile("" : "+r"(variable))
