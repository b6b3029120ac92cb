//! Starts and stops the workers' threads.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use anyhow::{Context as _, bail};
use core_affinity::CoreId;
use crossbeam::utils::CachePadded;
use rustix::process::{getpriority_process, setpriority_process};
use sidewinder_config::{Config, Poll, ZeroCopy as Said};
use sidewinder_dataplane::counters::WorkerCounters;
use sidewinder_dataplane::frame::FreeList;
use sidewinder_dataplane::port::xdp::{
    self, BusyPoll, FRAMES_PER_SOCKET, Monitor, PortConfig, ZeroCopy,
};
use sidewinder_dataplane::trace::Tap;
use sidewinder_dataplane::worker::{Handle, Polling, Worker};

use super::host::Host;
use super::steering::Steering;
use super::{Control, startup};

/// The niceness that a worker asks for whose core the file names: it is there for the worker. A thread that is always ready to run is the one that a scheduler
/// makes wait: at the usual niceness, the kernel's housekeeping and other programs take it off its
/// core for up to milliseconds at a time.
pub const NICE: i32 = -20;

/// A running worker.
#[derive(Debug)]
pub struct Running {
    /// The core it is pinned to.
    pub core: Option<usize>,
    /// Its niceness: [`NICE`] of a pinned one, where the system allows that.
    pub nice: i32,
    /// What it counts.
    pub counters: Arc<CachePadded<WorkerCounters>>,
    /// The kernel's statistics of its sockets, by port.
    pub monitors: Vec<Monitor>,
    /// Per port: whether without copies, and the queues.
    pub sockets: Vec<(bool, Vec<u32>)>,
    /// Whether its packet memory is on huge pages.
    pub huge_pages: bool,
    /// Bytes of its packet memory.
    pub memory: usize,
    /// To wake and stop it.
    pub handle: Handle,
    /// To have it look on packets.
    pub tap: Arc<Tap>,
    thread: Option<JoinHandle<()>>,
}

/// Starts every worker: packet memory, sockets, thread. Packets come from here on.
pub fn start(
    control: &mut Control,
    steering: &mut Steering,
    host: &Host,
) -> anyhow::Result<Vec<Running>> {
    let config = control.config.clone();
    let queues: Vec<Vec<Vec<u32>>> = config
        .interfaces
        .iter()
        .map(|interface| startup::queues(&config, &interface.name))
        .collect::<anyhow::Result<_>>()?;
    let mut running = Vec::new();
    for worker in 0..startup::workers(&config) {
        match start_one(control, &config, steering, host, worker, &queues) {
            Ok(started) => running.push(started),
            Err(error) => {
                stop(&mut running);
                return Err(error);
            }
        }
    }
    Ok(running)
}

fn start_one(
    control: &mut Control,
    config: &Config,
    steering: &mut Steering,
    host: &Host,
    index: usize,
    queues: &[Vec<Vec<u32>>],
) -> anyhow::Result<Running> {
    let configs: Vec<PortConfig> = config
        .interfaces
        .iter()
        .zip(queues)
        .map(|(interface, queues)| PortConfig {
            interface: interface.name.clone(),
            queues: queues.get(index).cloned().unwrap_or_default(),
            zero_copy: match interface.zero_copy {
                Said::Require => ZeroCopy::Require,
                Said::Prefer => ZeroCopy::Prefer,
                Said::Never => ZeroCopy::Never,
            },
            busy_poll: (config.router.poll == Poll::Busy).then(BusyPoll::default),
        })
        .collect();
    let sockets: u32 = configs.iter().map(|config| config.queues.len() as u32).sum();
    let frames = (sockets * FRAMES_PER_SOCKET).next_power_of_two();
    let opened = xdp::open(&configs, frames, true)?;
    let monitors = opened
        .ports
        .iter()
        .map(|port| port.monitor())
        .collect::<std::io::Result<_>>()
        .context("too many open files: raise `ulimit -n`")?;
    let described = opened
        .ports
        .iter()
        .map(|port| {
            (port.zero_copy(), port.sockets().iter().map(|socket| socket.queue()).collect())
        })
        .collect();
    for (program, port) in steering.programs.iter_mut().zip(&opened.ports) {
        for socket in port.sockets() {
            program.register(socket.queue(), socket)?;
        }
    }
    let core = config.router.cores.get(index).copied();
    let counters = WorkerCounters::new(opened.ports.len());
    let huge_pages = opened.umem.huge_pages();
    let memory = opened.umem.frames() as usize * sidewinder_dataplane::frame::FRAME_SIZE;
    let mut worker = Worker::new(
        index,
        opened.ports,
        opened.umem,
        FreeList::new(opened.frames),
        control.writer.reader(),
        host.clone(),
        Arc::clone(&counters),
    );
    let tap = worker.tap();
    let handle = Handle::new().context("too many open files: raise `ulimit -n`")?;
    let polling = match config.router.poll {
        Poll::Adaptive => Polling::Adaptive,
        Poll::Busy => Polling::Busy,
    };
    let (tell, told) = std::sync::mpsc::channel();
    let inner = handle.clone();
    let thread = Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || {
            let pinned = core.is_none_or(|id| core_affinity::set_for_current(CoreId { id }));
            if core.is_some() {
                // What came of it is asked for next, and shown.
                let _ = setpriority_process(None, NICE);
            }
            let nice = getpriority_process(None).unwrap_or_default();
            let _ = tell.send((pinned, nice));
            if pinned {
                worker.run(&inner, polling);
            }
        })
        .context("the system gives no more threads")?;
    let (pinned, nice) = told.recv().unwrap_or_default();
    if !pinned {
        let _ = thread.join();
        let allowed: Vec<String> = core_affinity::get_core_ids()
            .unwrap_or_default()
            .iter()
            .map(|core| core.id.to_string())
            .collect();
        bail!(
            "worker {index} cannot be pinned to core {}: this process may use the cores {}; \
             correct `cores` in [router], or the service's CPUAffinity",
            core.unwrap_or_default(),
            allowed.join(", ")
        );
    }
    Ok(Running {
        core,
        nice,
        counters,
        monitors,
        sockets: described,
        huge_pages,
        memory,
        handle,
        tap,
        thread: Some(thread),
    })
}

/// Stops workers, and waits for them.
pub fn stop(running: &mut Vec<Running>) {
    for worker in running.iter() {
        worker.handle.stop();
    }
    for worker in running.iter_mut() {
        if let Some(thread) = worker.thread.take() {
            let _ = thread.join();
        }
    }
    running.clear();
}
