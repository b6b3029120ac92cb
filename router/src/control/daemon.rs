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
use super::rib::{Routes, Source};
use super::steering::Steering;
use super::trace::Tracing;
use super::workers::{self, Running};
use super::{Control, Difference, startup};
use crate::api::trace::{Ask, Listener};
use crate::api::{self, Command, Metrics};
use crate::kernel::{Event, Extent, Kernel};
use crate::source::kernel::{Doubts, Mirror};
use crate::source::link_state::LinkState;

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
    /// The topology.
    pub link_state: LinkState,
    kernel: Kernel,
    /// The kernel as a source, where the file asks for it.
    mirror: Option<Mirror>,
    wishes: Wishes,
    /// Neighbours that packets were for, and when they were looked for first.
    solicited: BTreeMap<(u32, IpAddr), Instant>,
    wanted: BTreeSet<(u32, IpAddr)>,
    commands: mpsc::Receiver<Command>,
    routes_wanted: mpsc::Receiver<api::routes::Wanted>,
    tracing: Tracing,
    /// The control socket's file goes with it.
    _server: api::Server,
}

/// Name of the TUN device of the daemon with this process number: at most 15 bytes.
fn tun_name() -> String {
    format!("sidewinder{}", std::process::id() % 100_000)
}

/// How long the daemon waits at its start for the kernel's routes, which may be many, or may change
/// all the time. What is missing then comes later.
const FIRST_READING: Duration = Duration::from_secs(5);

/// What a configuration says that matters to how the kernel's routes are read.
fn mirrored(config: &Config) -> impl PartialEq + use<> {
    let interfaces = config.interfaces.iter().map(|interface| interface.table);
    let tables: BTreeSet<_> =
        interfaces.chain(config.routes.iter().map(|route| route.table)).collect();
    (config.sources.kernel.clone(), config.router.encap_source, tables)
}

/// Reads the kernel's routes into the RIB, where the file asks for it.
async fn mirror_routes(
    kernel: &mut Kernel,
    control: &mut Control,
) -> anyhow::Result<Option<Mirror>> {
    let Some(said) = control.config.sources.kernel.clone() else { return Ok(None) };
    kernel.follow_routes(true).context("cannot follow the kernel's routes by netlink")?;
    let mut mirror = Mirror::new(&said, &tun_name(), control);
    let begun = Instant::now();
    while kernel.is_reading_routes() && begun.elapsed() < FIRST_READING {
        let events = kernel.changed().await.context("cannot read the kernel's routes")?;
        control.observe(kernel.view());
        let doubts = mirror.follow(&events, kernel.view(), control);
        read_again(kernel, doubts);
    }
    let read = begun.elapsed();
    control.reconcile();
    let (routes, _) = control.rib.count(Source::Kernel);
    info!(
        "{routes} routes of the kernel, read in {read:.0?}, in the FIB after {:.0?}",
        begun.elapsed()
    );
    Ok(Some(mirror))
}

fn read_again(kernel: &mut Kernel, doubts: Doubts) {
    match doubts {
        Doubts { all: true, .. } => kernel.read_routes_again(Extent::All),
        Doubts { ipv4: true, .. } => kernel.read_routes_again(Extent::Ipv4),
        Doubts { ipv4: false, all: false } => {}
    }
}

impl Daemon {
    /// Sets everything up: kernel view, control socket, steer programs, workers. Packets are
    /// processed from here on.
    pub async fn start(file: &Path, config: Config) -> anyhow::Result<Self> {
        let mut kernel = Kernel::open().context("cannot follow the kernel's links by netlink")?;
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
            control.bound.insert(port.name.to_string(), index);
        }
        let mut link_state = LinkState::default();
        link_state.configure(&control.config).await?;
        link_state.observe(kernel.view(), &control);
        link_state.run(&mut control);
        let mirror = mirror_routes(&mut kernel, &mut control).await?;
        control.reconcile();
        // The programs pass everything to the kernel until there are sockets; who lacks a
        // privilege is told so here.
        let mut steering = Steering::attach(&mut control)?;
        // Before any packet is taken from the kernel: these fail where another daemon runs.
        let (sender, commands) = mpsc::channel(16);
        let (wanted, routes_wanted) = mpsc::channel(16);
        let router = &control.config.router;
        let server = api::serve(&router.socket, sender.clone(), wanted)?;
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
            link_state,
            kernel,
            mirror,
            wishes,
            solicited: BTreeMap::new(),
            wanted: BTreeSet::new(),
            commands,
            routes_wanted,
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
        self.link_state.stop().await;
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
                    Ok(events) => {
                        if self.kernel.resyncs() > resyncs {
                            resyncs = self.kernel.resyncs();
                            warn!("the kernel's notifications came too fast: read everything anew");
                        }
                        self.follow(&events);
                        self.link_state.observe(self.kernel.view(), &self.control);
                        self.settle().await;
                    }
                    Err(error) => warn!("{error}"),
                },
                () = self.link_state.due() => {
                    self.link_state.run(&mut self.control);
                    self.control.reconcile();
                    self.settle().await;
                }
                Some(command) = self.commands.recv() => self.answer(command).await,
                Some(wanted) = self.routes_wanted.recv() => {
                    api::routes::answer(&self.control, wanted);
                }
                wishes = self.wishes.next() => self.solicit(&wishes),
                _ = retry.tick() => {
                    self.retry();
                    if self.control.end_of_patience() {
                        self.settle().await;
                    }
                }
                () = self.tracing.tick() => if self.tracing.look(&self.control) {
                    self.wake();
                },
            }
        }
    }

    /// The state of a source, and what else there is to know of it.
    pub fn describe_source(
        &self,
        source: Source,
    ) -> (String, serde_json::Map<String, serde_json::Value>) {
        let state = match source {
            Source::Sid | Source::Connected | Source::Static | Source::Neighbor => "up",
            Source::Kernel => match &self.mirror {
                Some(mirror) => {
                    let (state, mut details) = mirror.describe();
                    let left = self.control.left_to_kernel();
                    details.insert("left-to-kernel".into(), left.into());
                    details.insert("overruns".into(), self.kernel.resyncs().into());
                    return (state, details);
                }
                None => "off",
            },
            Source::LinkState => {
                return (self.link_state.state(), self.link_state.details(&self.control));
            }
        };
        (state.into(), serde_json::Map::new())
    }

    /// Takes news of the kernel.
    fn follow(&mut self, events: &[Event]) {
        let of_routes = |event: &Event| {
            matches!(event, Event::Route(_) | Event::DumpBegins(_) | Event::DumpEnds(..))
        };
        if !events.iter().all(of_routes) {
            for change in self.control.observe(self.kernel.view()) {
                info!("{change}");
            }
        }
        if let Some(mirror) = &mut self.mirror {
            let doubts = mirror.follow(events, self.kernel.view(), &mut self.control);
            read_again(&mut self.kernel, doubts);
            self.control.reconcile();
        }
    }

    async fn answer(&mut self, command: Command) {
        let Command { request, reply, listener } = command;
        let result = match request {
            api::Request::Show { what } => api::show::show(self, what),
            api::Request::Draw { format } => Ok(self.link_state.draw(format).into()),
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
        self.link_state.configure(&config).await?;
        let before = mirrored(&self.control.config);
        let difference = self.control.configure(config, self.kernel.view());
        if before != mirrored(&self.control.config) {
            self.mirror_anew();
        }
        self.link_state.run(&mut self.control);
        self.control.reconcile();
        self.settle().await;
        Ok(difference)
    }

    /// The kernel as a source was turned on or off, or reads its routes in another way now.
    fn mirror_anew(&mut self) {
        let said = self.control.config.sources.kernel.clone();
        // The file is in force already. The kernel is asked again until it answers, and then tells
        // everything.
        if let Err(error) = self.kernel.follow_routes(said.is_some()) {
            warn!("the kernel's routes cannot be followed: {error}; trying again");
        }
        match said {
            Some(said) => {
                self.mirror = Some(Mirror::new(&said, &tun_name(), &self.control));
                self.kernel.read_routes_again(Extent::All);
            }
            None => {
                self.mirror = None;
                self.control.rib.replace(Source::Kernel, &Routes::new(), Instant::now());
                self.control.reconcile();
            }
        }
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
        let ports = self.control.ports.iter();
        self.link_state.sample(ports.map(|(port, found)| {
            let sent = self.workers.iter().filter_map(|worker| {
                Some(worker.counters.sent.get(usize::from(port))?.get().bytes)
            });
            (std::sync::Arc::clone(&found.name), sent.sum())
        }));
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
        if let Err(error) = self.steering.follow(&mut self.control) {
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
        // By now, the workers have let go of the version before.
        self.control.catch_up();
    }
}
