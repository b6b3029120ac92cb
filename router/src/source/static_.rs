//! The configuration file as a source: its routes, and its words in the data plane's terms.

use std::sync::Arc;

use sidewinder_config::{
    Behavior as Said, Config, Hmac, HmacForm, HmacKey, RouteAction, Structure,
};
use sidewinder_dataplane::behavior::csid::Layout;
use sidewinder_dataplane::behavior::{Behavior, Flavors, hmac};
use sidewinder_dataplane::fib::entry::Discard;
use sidewinder_dataplane::hmac::{Form, Key as DataplaneKey};

use crate::control::rib::{Hop, Key, Opinion, Routes, Source, Target};

/// The file's routes.
pub fn routes(config: &Config) -> Routes {
    config
        .routes
        .iter()
        .map(|route| {
            let target = match &route.action {
                RouteAction::Policy(name) => Target::Policy(name.as_str().into()),
                RouteAction::Colored(name, hop) => {
                    Target::Colored(name.as_str().into(), Arc::new(Hop::from(hop)))
                }
                RouteAction::Via(hops) => Target::Via(hops.iter().map(Hop::from).collect()),
                RouteAction::OnLink(interface) => Target::OnLink(interface.as_str().into()),
                RouteAction::Blackhole => Target::Discard(Discard::Blackhole),
                RouteAction::Unreachable => Target::Discard(Discard::Unreachable),
                RouteAction::Prohibit => Target::Discard(Discard::Prohibit),
                RouteAction::Local => Target::Host,
            };
            (
                Key { table: route.table.0, prefix: route.prefix },
                Opinion::of(Source::Static, target),
            )
        })
        .collect()
}

/// The data plane's word for a behavior.
pub fn behavior(said: &Said) -> Behavior {
    match said {
        Said::End => Behavior::End,
        Said::EndX { .. } => Behavior::EndX,
        Said::EndT { .. } => Behavior::EndT,
        Said::EndDx6 { .. } => Behavior::EndDx6,
        Said::EndDx4 { .. } => Behavior::EndDx4,
        Said::EndDt6 { .. } => Behavior::EndDt6,
        Said::EndDt4 { .. } => Behavior::EndDt4,
        Said::EndDt46 { .. } => Behavior::EndDt46,
        Said::EndDx2 { .. } => Behavior::EndDx2,
        Said::EndB6Encaps { .. } => Behavior::EndB6Encaps,
        Said::EndB6EncapsRed { .. } => Behavior::EndB6EncapsRed,
    }
}

/// The data plane's word for flavors.
pub fn flavors(said: sidewinder_config::Flavors) -> Flavors {
    let all = [
        (said.psp, Flavors::PSP),
        (said.usp, Flavors::USP),
        (said.usd, Flavors::USD),
        (said.next_csid, Flavors::NEXT_CSID),
    ];
    let set = all.into_iter().filter(|(set, _)| *set);
    set.fold(Flavors::NONE, |flavors, (_, flavor)| flavors.with(flavor))
}

/// The data plane's word for how a SID is divided.
pub fn csid(said: Option<Structure>) -> Layout {
    said.map_or_else(Layout::default, |said| Layout {
        block_bits: said.block_bits,
        csid_bits: said.csid_bits(),
    })
}

/// The data plane's word for what a SID asks of HMAC TLVs.
pub fn hmac(said: Hmac) -> hmac::Policy {
    match said {
        Hmac::Ignore => hmac::Policy::Ignore,
        Hmac::VerifyIfPresent => hmac::Policy::VerifyIfPresent,
        Hmac::Require => hmac::Policy::Require,
    }
}

/// A key as the data plane uses it.
pub fn hmac_key(said: &HmacKey) -> DataplaneKey {
    let form = match said.form {
        HmacForm::Rfc8754 => Form::Rfc8754,
        HmacForm::Linux => Form::Linux,
    };
    DataplaneKey::new(said.id, form, said.secret.bytes())
}

/// The next hops of a behavior that has some.
pub fn hops(said: &Said) -> Option<Vec<Hop>> {
    match said {
        Said::EndX { next_hops } | Said::EndDx6 { next_hops } | Said::EndDx4 { next_hops } => {
            Some(next_hops.iter().map(Hop::from).collect())
        }
        _ => None,
    }
}

/// The interface that a behavior sends frames by, of one that does.
pub fn interface(said: &Said) -> Option<&str> {
    match said {
        Said::EndDx2 { interface } => Some(interface),
        _ => None,
    }
}

/// The name of a behavior's policy, of one that has one.
pub fn policy(said: &Said) -> Option<&str> {
    match said {
        Said::EndB6Encaps { policy } | Said::EndB6EncapsRed { policy } => Some(policy),
        _ => None,
    }
}

/// The number of a behavior's table, of one that has one.
pub fn table(said: &Said) -> Option<u32> {
    match said {
        Said::EndT { table }
        | Said::EndDt6 { table }
        | Said::EndDt4 { table }
        | Said::EndDt46 { table } => Some(table.0),
        _ => None,
    }
}
