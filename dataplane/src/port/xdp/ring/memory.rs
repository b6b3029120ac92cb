//! A ring in ordinary memory. Under loom its accesses are all watched.

#[cfg(loom)]
pub(super) use loom::{cell::UnsafeCell, sync::Arc, sync::atomic::AtomicU32};
#[cfg(not(loom))]
pub(super) use std::sync::{Arc, atomic::AtomicU32};

use super::Memory;

#[cfg(not(loom))]
#[derive(Debug)]
pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }
    fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }
    fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

#[derive(Debug)]
pub(super) struct Heap<T> {
    producer: AtomicU32,
    consumer: AtomicU32,
    slots: Vec<UnsafeCell<T>>,
}

// SAFETY: the two ends may be in different threads; that they never access a slot at the same
// time is what the contract of `Memory::read` and `write` says.
unsafe impl<T: Send> Sync for Heap<T> {}

impl<T: Copy> Heap<T> {
    /// Two handles of one empty ring, whose indices begin at `first`.
    pub(super) fn pair(size: u32, first: u32, item: T) -> (Arc<Self>, Arc<Self>) {
        let heap = Arc::new(Self {
            producer: AtomicU32::new(first),
            consumer: AtomicU32::new(first),
            slots: (0..size).map(|_| UnsafeCell::new(item)).collect(),
        });
        (heap.clone(), heap)
    }

    fn slot(&self, index: u32) -> &UnsafeCell<T> {
        &self.slots[index as usize & (self.slots.len() - 1)]
    }
}

// SAFETY: the slots are owned by the shared allocation, and a slot depends on the index only.
unsafe impl<T: Copy> Memory for Arc<Heap<T>> {
    type Index = AtomicU32;
    type Item = T;

    fn size(&self) -> u32 {
        self.slots.len() as u32
    }
    fn producer(&self) -> &AtomicU32 {
        &self.producer
    }
    fn consumer(&self) -> &AtomicU32 {
        &self.consumer
    }
    fn needs_wakeup(&self) -> bool {
        false
    }
    unsafe fn read(&self, index: u32) -> T {
        // SAFETY: the pointer is to a live slot; the caller promises that nobody writes it.
        self.slot(index).with(|slot| unsafe { *slot })
    }
    unsafe fn write(&self, index: u32, item: T) {
        // SAFETY: the pointer is to a live slot; the caller promises that it is ours.
        self.slot(index).with_mut(|slot| unsafe { *slot = item })
    }
}
