//! Sources of routes.

use serde::{Deserialize, Serialize};

use crate::control::daemon::Daemon;
use crate::control::rib;

/// A source of routes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Source {
    /// Its name.
    pub source: String,
    /// `up`, `off`, or the state of its session.
    pub state: String,
    /// Routes it has.
    pub routes: usize,
    /// Those of them that are the best.
    pub best: usize,
    /// Those of them that are kept though the source has gone.
    pub stale: usize,
    /// More about it, by name.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub details: serde_json::Map<String, serde_json::Value>,
}

/// The sources that are asked for, or that have something to say.
pub fn sources(daemon: &Daemon) -> Vec<Source> {
    let control = &daemon.control;
    rib::Source::ALL
        .into_iter()
        .map(|source| {
            let (routes, stale) = control.rib.count(source);
            let best = control.installed(source);
            let (state, details) = daemon.describe_source(source);
            Source { source: source.name().into(), state, routes, best, stale, details }
        })
        .filter(|source| source.state != "off" || source.routes > 0)
        .collect()
}
