//! Memory that is read all over: in large pages, where the kernel has them.
//!
//! A table of a million routes spreads over ten thousand small pages, more than the processor
//! remembers the places of, and every look-up would search some of them in the page table. The
//! advice to the kernel is `unsafe` to give, and is given here only.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};

/// A large page of x86-64.
const LARGE: usize = 2 << 20;
const SMALL: usize = 4096;

/// Makes room for one more item. A small vector doubles; a large one grows by a quarter, and is
/// put in large pages.
pub(super) fn make_room<T>(items: &mut Vec<T>) {
    if items.len() < items.capacity() {
        return;
    }
    let bytes = size_of::<T>() * items.len();
    if bytes < LARGE {
        items.reserve(1);
        return;
    }
    items.reserve_exact(items.len() / 4 + 1);
    let start = items.as_ptr().addr();
    let first = start.next_multiple_of(SMALL);
    let end = (start + size_of::<T>() * items.capacity()) / SMALL * SMALL;
    let address = items.as_ptr().with_addr(first).cast_mut().cast::<c_void>();
    if let Some(address) = NonNull::new(address).filter(|_| first < end) {
        // SAFETY: the pages are whole ones within the vector's memory, and the advice does not
        // change what is in them. A kernel that has no large pages says so, and nothing is lost.
        let _ = unsafe { madvise(address, end - first, MmapAdvise::MADV_HUGEPAGE) };
    }
}
