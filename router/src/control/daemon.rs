//! The daemon: everything in its place, and one thread that looks after it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sidewinder_config::Config;
use sidewinder_dataplane::port::tun::Tun;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::steering::Steering;
use super::workers::{self, Running};
use super::{Control, Difference, startup};
use crate::api::{self, Command, Metrics};
use crate::kernel::Kernel;

/// How long to wait before a publication is tried again because a worker was still reading.
const RETRY: Duration = Duration::from_micros(200);

/// How often neighbours that do not answer are asked for again.
const NEIGHBOUR_RETRY: Duration = Duration::from_secs(1);

/// A running router.
pub struct Daemon {
    /// Where the configuration was read from.
    pub file: PathBuf,
    /// Since when it runs.
    pub started: Instant,
    /// What the control thread knows.
    pub control: Control,
    /// The workers.
    pub workers: Vec<Running>,
    /// The XDP programs.
    pub steering: Steering,
    /// The way to the kernel.
    pub tun: Tun,
    kernel: Kernel,
    wanted: BTreeSet<(u32, IpAddr)>,
}

/// Name of the TUN device of the daemon with this process number: at most 15 bytes.
fn tun_name() -> String {
    format!("sidewinder{}", std::process::id() % 100_000)
}

impl Daemon {
    /// Sets everything up: kernel view, steer programs, workers. Packets are processed from here
    /// on.
    pub async fn start(file: &Path, config: Config) -> anyhow::Result<Self> {
        let kernel = Kernel::open().context("cannot follow the kernel's links by netlink")?;
        let mut control = Control::new(config, kernel.view(), 0);
        for (_, port) in control.ports.iter() {
            if port.index.is_none() {
                anyhow::bail!(
                    "there is no interface {} here: see `ip link`, and [[interface]] in {}",
                    port.name,
                    file.display()
                );
            }
        }
        // The number of workers is part of every counter, so it must be known before.
        let count = startup::workers(&control.config);
        control = Control::new(control.config, kernel.view(), count);
        let mut steering = Steering::attach(&control)?;
        let tun = Tun::open(&tun_name())?;
        control.publish();
        let workers = workers::start(&mut control, &mut steering, &tun)?;
        let mut daemon = Self {
            file: file.to_owned(),
            started: Instant::now(),
            control,
            workers,
            steering,
            tun,
            kernel,
            wanted: BTreeSet::new(),
        };
        daemon.settle().await?;
        Ok(daemon)
    }

    /// Looks after everything until a signal says stop.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut retry = tokio::time::interval(NEIGHBOUR_RETRY);
        let (sender, mut commands) = mpsc::channel(16);
        let router = &self.control.config.router;
        let _server = api::serve(&router.socket, sender.clone())?;
        if let Some(address) = router.metrics {
            Metrics::serve(address, sender).await?;
        }
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => match self.reload().await {
                    Ok(difference) => info!("reloaded: {}", api::describe(&difference)),
                    Err(error) => warn!("not reloaded, nothing was changed: {error:#}"),
                },
                events = self.kernel.changed() => match events {
                    Ok(_) => {
                        self.control.observe(self.kernel.view());
                        self.settle().await?;
                    }
                    Err(error) => warn!("{error}"),
                },
                Some(command) = commands.recv() => self.answer(command).await,
                _ = retry.tick() => if let Err(error) = self.kernel.retry_unresolved() {
                    warn!("{error}");
                },
            }
        }
        info!("stopping");
        self.stop();
        Ok(())
    }

    /// Stops the workers and takes everything back that was set up.
    fn stop(mut self) {
        workers::stop(&mut self.workers);
        let _ = self.kernel.release_all();
    }

    async fn answer(&mut self, command: Command) {
        let Command { request, reply } = command;
        let result = match request {
            api::Request::Show { what } => api::show::show(self, what),
            api::Request::Reload => match self.reload().await {
                Ok(difference) => serde_json::to_value(difference).map_err(Into::into),
                Err(error) => Err(error),
            },
        };
        // A client that has gone does not want to know.
        let _ = reply.send(result.map_err(|error| format!("{error:#}")));
    }

    /// Reads the file again and applies the difference as one change. A bad file changes nothing.
    async fn reload(&mut self) -> anyhow::Result<Difference> {
        let config = startup::load(&self.file, |text| warn!("{text}"))?;
        if let Some(hindrance) = startup::needs_restart(&self.control.config, &config) {
            anyhow::bail!("{hindrance}: this takes effect by a restart of the daemon only");
        }
        let difference = self.control.configure(config, self.kernel.view());
        self.settle().await?;
        Ok(difference)
    }

    /// Brings workers, XDP maps and the kernel's neighbour table in line with what is known.
    async fn settle(&mut self) -> anyhow::Result<()> {
        while !self.control.publish() {
            self.workers.iter().for_each(|worker| worker.handle.wake());
            tokio::time::sleep(RETRY).await;
        }
        self.workers.iter().for_each(|worker| worker.handle.wake());
        self.steering.follow(&self.control)?;
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
        Ok(())
    }
}
