//! From a file to running workers, and what only a restart can change.

use anyhow::{Context as _, bail};
use sidewinder_config::{Checked, Config, Queues};
use sidewinder_dataplane::port::xdp::link;

/// How many workers a configuration asks for.
pub fn workers(config: &Config) -> usize {
    config.router.cores.len().max(1)
}

/// Queues of an interface by worker: worker `w` of `n` serves the queues `w`, `w + n`, ….
pub fn queues(config: &Config, interface: &str) -> anyhow::Result<Vec<Vec<u32>>> {
    let workers = workers(config);
    let there = link::queues(interface).with_context(|| {
        format!(
            "there is no interface {interface} here: see `ip link`, and [[interface]] in the \
             configuration"
        )
    })?;
    let wanted = match config.interface(interface).map(|found| found.queues) {
        Some(Queues::Count(count)) if count > there => bail!(
            "{interface} has {there} queue(s), and the configuration asks for {count}: \
             `ethtool -L {interface} combined {count}` adds some, or set queues = {there}"
        ),
        Some(Queues::Count(count)) => count,
        _ => there,
    };
    if (wanted as usize) < workers {
        bail!(
            "{interface} has {wanted} queue(s) for {workers} workers, and each needs one: \
             `ethtool -L {interface} combined {workers}`, or fewer cores in [router]"
        );
    }
    Ok((0..workers as u32).map(|worker| (worker..wanted).step_by(workers).collect()).collect())
}

/// Whether a new configuration can be applied to the running daemon; if not, what hinders it.
pub fn needs_restart(old: &Config, new: &Config) -> Option<String> {
    if old.router.cores != new.router.cores {
        return Some("[router] cores changed".into());
    }
    if old.router.poll != new.router.poll {
        return Some("[router] poll changed".into());
    }
    if old.router.socket != new.router.socket {
        return Some("[router] socket changed".into());
    }
    if old.router.metrics != new.router.metrics {
        return Some("[router] metrics changed".into());
    }
    fn fixed(config: &Config) -> Vec<impl PartialEq> {
        config
            .interfaces
            .iter()
            .map(|interface| {
                let frames = config.takes_frames(interface);
                (&interface.name, interface.zero_copy, interface.queues, interface.steer, frames)
            })
            .collect()
    }
    (fixed(old) != fixed(new)).then(|| {
        "[[interface]] entries changed (name, zero-copy, queues, steer, whether a policy takes \
         frames, or their order)"
            .into()
    })
}

/// Loads a file and checks it against the interfaces of this machine, as far as they can be read.
/// Warnings are handed to `warn` as text.
pub fn load(path: &std::path::Path, warn: impl Fn(&str)) -> anyhow::Result<Config> {
    let checked: Checked = sidewinder_config::load(path)
        .map_err(|failure| anyhow::anyhow!("{}", failure.to_string().trim_end()))?;
    let mtus = checked.check_mtu(|interface| link::mtu(interface).ok());
    if mtus.has_errors() {
        bail!("{}", mtus.render(false).trim_end());
    }
    for report in [&checked.warnings, &mtus] {
        if !report.is_empty() {
            warn(report.render(false).trim_end());
        }
    }
    Ok(checked.config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart() {
        let base = "[[interface]]\nname = \"eth0\"\n";
        let config = |text: &str| sidewinder_config::check(text, "t").unwrap().config;
        let old = config(base);
        assert_eq!(needs_restart(&old, &config(base)), None);
        let route = format!("{base}[[route]]\nprefix = \"fc00::/48\"\naction = \"blackhole\"\n");
        assert_eq!(needs_restart(&old, &config(&route)), None);
        let more = format!("{base}[[interface]]\nname = \"eth1\"\n");
        assert!(needs_restart(&old, &config(&more)).is_some());
        let cores = format!("[router]\ncores = [0, 1]\n{base}");
        assert!(needs_restart(&old, &config(&cores)).is_some());
    }
}
