//! The daemon: everything in its place, and one thread that looks after it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sidewinder_config::{Config, OFlag};
use sidewinder_dataplane::port::tun::Tun;
use sidewinder_dataplane::trace::Tap;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::host::{Wish, Wishes};
use super::steering::Steering;
use super::trace::Tracing;
use super::workers::{self, Running};
use super::{Control, Difference, startup};
use crate::api::trace::{Ask, Listener};
use crate::api::{self, Command, Metrics};
use crate::kernel::Kernel;

/// How long to wait before a publication is tried again because a worker was still reading.
const RETRY: Duration = Duration::from_micros(200);

/// How often neighbours that do not answer are asked for again.
const NEIGHBOUR_RETRY: Duration = Duration::from_secs(1);

/// How long a neighbour that a packet was for is looked for before it is given up.
const SOLICITATION: Duration = Duration::from_secs(5);

/// A running router.
pub struct Daemon {
    /// Where the configuration was read from.
    pub file: PathBuf,
    /// What the control thread knows.
    pub control: Control,
    /// The workers.
    pub workers: Vec<Running>,
    /// The XDP programs.
    pub steering: Steering,
    kernel: Kernel,
    wishes: Wishes,
    /// Neighbours that packets were for, and when they were looked for first.
    solicited: BTreeMap<(u32, IpAddr), Instant>,
    wanted: BTreeSet<(u32, IpAddr)>,
    commands: mpsc::Receiver<Command>,
    tracing: Tracing,
    /// The control socket's file goes with it.
    _server: api::Server,
}

/// Name of the TUN device of the daemon with this process number: at most 15 bytes.
fn tun_name() -> String {
    format!("sidewinder{}", std::process::id() % 100_000)
}

impl Daemon {
    /// Sets everything up: kernel view, control socket, steer programs, workers. Packets are
    /// processed from here on.
    pub async fn start(file: &Path, config: Config) -> anyhow::Result<Self> {
        let kernel = Kernel::open().context("cannot follow the kernel's links by netlink")?;
        let count = startup::workers(&config);
        let mut control = Control::new(config, kernel.view(), count);
        for (_, port) in control.ports.iter() {
            let Some(index) = port.index else {
                anyhow::bail!(
                    "there is no interface {} here: see `ip link`, and [[interface]] in {}",
                    port.name,
                    file.display()
                );
            };
            control.bound.insert(port.name.clone(), index);
        }
        // The programs pass everything to the kernel until there are sockets; who lacks a
        // privilege is told so here.
        let mut steering = Steering::attach(&control)?;
        // Before any packet is taken from the kernel: these fail where another daemon runs.
        let (sender, commands) = mpsc::channel(16);
        let router = &control.config.router;
        let server = api::serve(&router.socket, sender.clone())?;
        if let Some(address) = router.metrics {
            Metrics::serve(address, sender).await?;
        }
        let (host, wishes) = Wishes::new(Tun::open(&tun_name())?)?;
        control.publish();
        let workers = workers::start(&mut control, &mut steering, &host)?;
        let mut daemon = Self {
            file: file.to_owned(),
            control,
            workers,
            steering,
            kernel,
            wishes,
            solicited: BTreeMap::new(),
            wanted: BTreeSet::new(),
            commands,
            tracing: Tracing::default(),
            _server: server,
        };
        daemon.settle().await;
        Ok(daemon)
    }

    /// Looks after everything until a signal says stop.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let result = self.look_after().await;
        info!("stopping");
        workers::stop(&mut self.workers);
        // Fails only where the kernel has forgotten them already.
        let _ = self.kernel.release_all();
        result
    }

    async fn look_after(&mut self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut retry = tokio::time::interval(NEIGHBOUR_RETRY);
        let mut resyncs = self.kernel.resyncs();
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                // What it says is in the log.
                _ = hangup.recv() => drop(self.reload().await),
                events = self.kernel.changed() => match events {
                    Ok(_) => {
                        if self.kernel.resyncs() > resyncs {
                            resyncs = self.kernel.resyncs();
                            warn!("the kernel's notifications came too fast: read everything anew");
                        }
                        for change in self.control.observe(self.kernel.view()) {
                            info!("{change}");
                        }
                        self.settle().await;
                    }
                    Err(error) => warn!("{error}"),
                },
                Some(command) = self.commands.recv() => self.answer(command).await,
                wishes = self.wishes.next() => self.solicit(&wishes),
                _ = retry.tick() => self.retry(),
                () = self.tracing.tick() => if self.tracing.look(&self.control) {
                    self.wake();
                },
            }
        }
    }

    async fn answer(&mut self, command: Command) {
        let Command { request, reply, listener } = command;
        let result = match request {
            api::Request::Show { what } => api::show::show(self, what),
            api::Request::Reload => match self.reload().await {
                Ok(difference) => serde_json::to_value(difference).map_err(Into::into),
                Err(error) => Err(error),
            },
            api::Request::Trace(ask) => self.trace(&ask, listener),
        };
        // A client that has gone does not want to know.
        let _ = reply.send(result.map_err(|error| format!("{error:#}")));
    }

    /// Has the workers look on.
    fn trace(
        &mut self,
        ask: &Ask,
        listener: Option<Listener>,
    ) -> anyhow::Result<serde_json::Value> {
        let listener = listener.context("nobody listens")?;
        self.tracing.begin(&self.control, self.taps(), ask, listener)?;
        self.wake();
        Ok(serde_json::Value::Null)
    }

    fn taps(&self) -> Vec<Arc<Tap>> {
        self.workers.iter().map(|worker| Arc::clone(&worker.tap)).collect()
    }

    /// Ends the workers' sleep: there is something to take.
    fn wake(&self) {
        self.workers.iter().for_each(|worker| worker.handle.wake());
    }

    /// Reads the file again and applies the difference as one change. A bad file changes nothing.
    async fn reload(&mut self) -> anyhow::Result<Difference> {
        match self.try_reload().await {
            Ok(difference) => {
                info!("reloaded: {}", api::describe(&difference));
                Ok(difference)
            }
            Err(error) => {
                warn!("not reloaded, nothing was changed: {error:#}");
                Err(error)
            }
        }
    }

    async fn try_reload(&mut self) -> anyhow::Result<Difference> {
        let config = startup::load(&self.file, |text| warn!("{text}"))?;
        if let Some(hindrance) = startup::needs_restart(&self.control.config, &config) {
            anyhow::bail!("{hindrance}: this takes effect by a restart of the daemon only");
        }
        let difference = self.control.configure(config, self.kernel.view());
        self.settle().await;
        Ok(difference)
    }

    /// Has the kernel look for neighbours that packets were for.
    fn solicit(&mut self, wishes: &[Wish]) {
        for Wish { port, address } in wishes {
            let Some(link) = self.control.ports.get(*port).and_then(|port| port.index) else {
                continue;
            };
            if self.solicited.insert((link, *address), Instant::now()).is_none()
                && let Err(error) = self.kernel.resolve(link, *address)
            {
                warn!("the kernel does not resolve {address}: {error}");
            }
        }
    }

    /// Asks again for neighbours that are needed, and gives up those that packets were for and
    /// that are not there; what is there is wanted by its route.
    fn retry(&mut self) {
        if let Err(error) = self.kernel.retry_unresolved() {
            warn!("{error}");
        }
        let late = |since: &Instant| since.elapsed() > SOLICITATION;
        let given_up: Vec<_> = self
            .solicited
            .iter()
            .filter(|(_, since)| late(since))
            .map(|(neighbour, _)| *neighbour)
            .collect();
        for (link, address) in given_up {
            self.solicited.remove(&(link, address));
            if !self.wanted.contains(&(link, address))
                && let Err(error) = self.kernel.release(link, address)
            {
                warn!("{error}");
            }
        }
    }

    /// Brings workers, XDP maps and the kernel's neighbour table in line with what is known.
    async fn settle(&mut self) {
        let copies = self.control.config.router.o_flag == OFlag::Copy;
        self.tracing.copy(copies, &self.taps());
        while !self.control.publish() {
            self.wake();
            tokio::time::sleep(RETRY).await;
        }
        self.wake();
        if let Err(error) = self.steering.follow(&self.control) {
            error!("packets may go to the wrong place: {error:#}");
        }
        let wanted = self.control.wanted_neighbours();
        for (link, address) in wanted.difference(&self.wanted) {
            if let Err(error) = self.kernel.resolve(*link, *address) {
                warn!("the kernel does not resolve {address}: {error}");
            }
        }
        for (link, address) in self.wanted.difference(&wanted) {
            if let Err(error) = self.kernel.release(*link, *address) {
                warn!("{error}");
            }
        }
        self.wanted = wanted;
    }
}
