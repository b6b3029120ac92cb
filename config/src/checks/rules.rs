//! Rules, and the interfaces that they are for.

use crate::item::Sink;
use crate::model::{Config, Rule, RuleScope, Steer};
use crate::parse::Facts;
use crate::report::Diagnostic;

/// Reports interfaces that cannot have rules, or have too many.
pub(super) fn rules(config: &Config, facts: &Facts, sink: &Sink) {
    for interface in &config.interfaces {
        let Some(place) = facts.interfaces.iter().find(|at| at.value == interface.name) else {
            continue;
        };
        let rules = config.rules_of(interface);
        let own = facts
            .rules
            .iter()
            .find(|at| matches!(&at.value, RuleScope::Interface(name) if *name == interface.name));
        let of_table = facts
            .rules
            .iter()
            .find(|at| matches!(&at.value, RuleScope::Table(table) if *table == interface.table));
        if rules.len() > Rule::MAX {
            sink.push(
                Diagnostic::error(format!(
                    "interface `{}` has {} rules, and may have {}",
                    interface.name,
                    rules.len(),
                    Rule::MAX
                ))
                .at(place.span.clone(), "its own, those of its table, and its policy")
                .help("use routes where the destination alone decides: they cost the same however many there are"),
            );
        }
        if let Some(written) = own.filter(|_| config.takes_frames(interface)) {
            sink.push(
                Diagnostic::error(format!(
                    "interface `{}` has no packets for rules",
                    interface.name
                ))
                .at(place.span.clone(), "its policy takes all frames, whatever they are")
                .at(written.span.clone(), "this rule is for its packets")
                .help("remove the rule or the policy, or name a policy of H.Encaps"),
            );
        } else if interface.steer == Steer::Sids && !rules.is_empty() {
            let title =
                format!("rules for interface `{}` would not see its packets", interface.name);
            // Those of the table are for other interfaces, too.
            let found = match own.is_some() || interface.policy.is_some() {
                true => Diagnostic::error(title),
                false => Diagnostic::warning(title),
            };
            let found = found.at(
                place.span.clone(),
                "steer = \"sids\" leaves all but packets to SIDs to the kernel",
            );
            let found = match own.or(of_table) {
                Some(written) => found.at(written.span.clone(), "this rule is for its packets"),
                None => found,
            };
            sink.push(found.help("write steer = \"all\" for the interface"));
        }
    }
}
