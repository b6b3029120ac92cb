//! `run` and `reload`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use super::table::Table;
use crate::api::{self, Request, client};
use crate::control::Difference;
use crate::control::daemon::Daemon;
use crate::control::startup;
use crate::control::workers::NICE;

/// Runs the daemon in the foreground until SIGTERM or SIGINT.
pub fn run(file: &Path) -> anyhow::Result<()> {
    check_processor()?;
    let filter = EnvFilter::try_from_env("SIDEWINDER_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let config = startup::load(file, |text| eprintln!("{text}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the system gives no event queue")?;
    runtime.block_on(async {
        let daemon = Daemon::start(file, config).await?;
        report(&daemon)?;
        daemon.run().await
    })
}

/// The build uses instructions that every x86-64 server has had since 2013.
fn check_processor() -> anyhow::Result<()> {
    #[cfg(target_arch = "x86_64")]
    {
        let missing: Vec<&str> = [
            ("popcnt", std::arch::is_x86_feature_detected!("popcnt")),
            ("bmi2", std::arch::is_x86_feature_detected!("bmi2")),
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ]
        .into_iter()
        .filter(|(_, there)| !there)
        .map(|(name, _)| name)
        .collect();
        anyhow::ensure!(
            missing.is_empty(),
            "this build needs a processor with {} (x86-64-v3): rebuild with target-cpu=native in \
             .cargo/config.toml",
            missing.join(", ")
        );
    }
    Ok(())
}

/// Says what was got: interface, driver, XDP mode, zero-copy or copy, queues, cores.
fn report(daemon: &Daemon) -> anyhow::Result<()> {
    let router = &daemon.control.config.router;
    println!(
        "sidewinder {} {} ({})",
        env!("CARGO_PKG_VERSION"),
        router.name,
        daemon.file.display()
    );
    let mut interfaces = Table::new(["interface", "driver", "xdp", "memory", "queues", "mtu"]);
    for interface in api::show::interfaces(daemon) {
        let copies = if interface.zero_copy { "zero-copy" } else { "copy" };
        let queues = interface.queues.iter().map(ToString::to_string).collect::<Vec<_>>();
        interfaces.row([
            interface.name,
            interface.driver,
            interface.mode,
            copies.into(),
            queues.join(","),
            interface.mtu.to_string(),
        ]);
    }
    print!("{interfaces}");
    for interface in api::show::interfaces(daemon) {
        notes(daemon, &interface).iter().for_each(|note| println!("{note}"));
    }
    for worker in api::show::workers(daemon) {
        let core = worker.core.map_or("not pinned".into(), |core| format!("core {core}"));
        let pages = if worker.huge_pages {
            "huge pages"
        } else {
            "normal pages (`sysctl vm.nr_hugepages=64` reserves huge ones)"
        };
        println!(
            "worker {}: {core}, {} MiB of packet memory on {pages}",
            worker.worker,
            worker.memory >> 20
        );
        if worker.core.is_some() && worker.nice != NICE {
            println!(
                "worker {}: its niceness is {}, so other programs may take it off its core; \
                 CAP_SYS_NICE, or `LimitNICE={NICE}` in the unit, lets it have {NICE}",
                worker.worker, worker.nice
            );
        }
    }
    let control = &daemon.control;
    println!(
        "{} SID(s), {} policy(s), {} route(s); control socket {}",
        control.sids.len(),
        control.policies.len(),
        control.writer.route_counts().iter().map(|(v6, v4)| v6 + v4).sum::<usize>(),
        router.socket.display()
    );
    std::io::stdout().flush()?;
    Ok(())
}

/// What an operator may not have expected of an interface.
fn notes(daemon: &Daemon, interface: &api::show::Interface) -> Vec<String> {
    let api::show::Interface { name, driver, .. } = interface;
    let mut notes = Vec::new();
    if interface.mode == "generic" {
        notes.push(format!("{name}: {driver} has no XDP of its own, and the generic one is slow"));
    }
    let all_prefer = daemon
        .control
        .config
        .interfaces
        .iter()
        .all(|said| said.zero_copy == sidewinder_config::ZeroCopy::Prefer);
    if all_prefer && !interface.zero_copy && driver != "veth" {
        notes.push(format!(
            "{name}: copies packets, because it or another interface has no zero-copy: one memory \
             serves them all"
        ));
    }
    notes
}

/// Has the daemon read its file again.
pub fn reload(socket: &Path) -> anyhow::Result<()> {
    let answer =
        client::request(socket, &Request::Reload).context("not reloaded, nothing was changed")?;
    let difference: Difference = serde_json::from_value(answer)?;
    println!("{}", api::describe(&difference));
    Ok(())
}
