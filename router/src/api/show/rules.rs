//! Rules.

use serde::{Deserialize, Serialize};
use sidewinder_config as config;
use sidewinder_dataplane::counters::Traffic;

use crate::control::daemon::Daemon;

/// A rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// The interface, or the table of the interfaces, whose packets it looks at.
    pub on: String,
    /// The packets that it is for, in words.
    pub packets_for: String,
    /// The policy that it steers them into; none: they go where routes lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Whether it is in force. Without a way, its policy is passed over.
    pub in_force: bool,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The rules, in the order of the file, and then those of whole interfaces.
pub fn rules(daemon: &Daemon) -> Vec<Rule> {
    let control = &daemon.control;
    let describe = |rule: config::Rule| {
        let counters = control.rules.counters(&rule);
        let Traffic { packets, bytes } = counters.map(|c| c.get()).unwrap_or_default();
        Rule {
            on: rule.on.to_string(),
            packets_for: rule.to_string(),
            in_force: control.rules.is_in_force(&rule),
            policy: match rule.action {
                config::RuleAction::Policy(name) => Some(name),
                config::RuleAction::Route => None,
            },
            packets,
            bytes,
        }
    };
    control.rules().into_iter().map(describe).collect()
}
