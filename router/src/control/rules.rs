//! Rules on their way to the workers: those of the file, and the policies of whole interfaces.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;
use sidewinder_config::{Rule, RuleAction};
use sidewinder_dataplane::counters::PacketCounters;
use sidewinder_dataplane::fib::Change;
use sidewinder_dataplane::fib::entry::{PolicyId, PortIndex};
use sidewinder_dataplane::fib::rules::{Match, Rules};
use sidewinder_dataplane::fib::table::left_aligned;

use super::Control;

/// The rules that workers know.
#[derive(Debug, Default)]
pub struct InstalledRules {
    /// By port: the rules that are in force, in order, and the policies that they steer into.
    ports: Vec<Vec<(Rule, Match, Option<PolicyId>)>>,
    /// Packets and bytes that each rule decided on.
    counters: HashMap<Rule, Arc<PacketCounters>>,
}

impl InstalledRules {
    /// Packets and bytes that a rule decided on.
    pub fn counters(&self, rule: &Rule) -> Option<&Arc<PacketCounters>> {
        self.counters.get(rule)
    }

    /// Whether a rule is in force: one whose policy has no way is passed over.
    pub fn is_in_force(&self, rule: &Rule) -> bool {
        self.ports.iter().flatten().any(|(known, ..)| known == rule)
    }
}

impl Control {
    /// Every rule of the file, with those that policies of interfaces stand for.
    pub fn rules(&self) -> Vec<Rule> {
        let of_interfaces = self.config.interfaces.iter().filter_map(|interface| {
            let last = self.config.rules_of(interface).pop()?;
            (!self.config.rules.contains(&last)).then_some(last)
        });
        self.config.rules.iter().cloned().chain(of_interfaces).collect()
    }

    /// Whether rules are a reason to take IPv4 from the kernel.
    pub(super) fn rules_want_ipv4(&self) -> bool {
        let steers = |rule: &Rule| {
            let RuleAction::Policy(name) = &rule.action else { return false };
            let policy = self.config.policy(name);
            rule.is_v6() != Some(true) && policy.is_some_and(|it| !it.behavior.is_v6_only())
        };
        self.rules().iter().any(steers)
    }

    /// Brings the rules of a port in line with the file and with the policies that there are. Says
    /// whether it has any.
    pub(super) fn apply_rules(&mut self, port: usize) -> bool {
        let Some(interface) = self.config.interfaces.get(port) else { return false };
        let wanted: Vec<_> = self
            .config
            .rules_of(interface)
            .into_iter()
            .filter_map(|rule| {
                let to = match &rule.action {
                    RuleAction::Policy(name) => Some(self.policy_id(name)?),
                    RuleAction::Route => None,
                };
                let mut matched = matched(&rule);
                let said = match &rule.action {
                    RuleAction::Policy(name) => self.config.policy(name),
                    RuleAction::Route => None,
                };
                if said.is_some_and(|policy| policy.behavior.is_v6_only()) {
                    matched.v6 = Some(true);
                }
                Some((rule, matched, to))
            })
            .collect();
        let has_rules = !wanted.is_empty();
        let installed = &mut self.rules;
        if port >= installed.ports.len() {
            installed.ports.resize(port + 1, Vec::new());
        }
        if installed.ports[port] == wanted {
            return has_rules;
        }
        let mut rules = Rules::NONE;
        for (rule, matched, to) in &wanted {
            let counters = installed.counters.entry(rule.clone());
            let counters = counters.or_insert_with(|| PacketCounters::new(self.workers));
            rules.push(matched, *to, Arc::clone(counters));
        }
        installed.ports[port] = wanted;
        self.writer.stage(Change::Rules(port as PortIndex, rules));
        has_rules
    }

    /// Forgets the counters of rules that are gone.
    pub(super) fn forget_rules(&mut self) {
        let known = self.rules();
        self.rules.counters.retain(|rule, _| known.contains(rule));
    }
}

/// A rule in the data plane's words.
fn matched(rule: &Rule) -> Match {
    let prefix = |prefix: Option<IpNet>| match prefix {
        None => (0, 0),
        Some(IpNet::V6(prefix)) => (u128::from(prefix.network()), prefix.prefix_len()),
        Some(IpNet::V4(prefix)) => (left_aligned(prefix.network().into()), prefix.prefix_len()),
    };
    Match {
        v6: rule.is_v6(),
        source: prefix(rule.source),
        destination: prefix(rule.destination),
        protocol: rule.protocol,
        source_ports: rule.source_ports,
        destination_ports: rule.destination_ports,
        dscp: rule.dscp,
    }
}
