//! Whether what policies add to packets leaves room on the interfaces they leave by.

use std::collections::HashMap;

use ipnet::Ipv6Net;

use crate::Checked;
use crate::checks::{longest, main_routes};
use crate::model::{RouteAction, SegmentList};
use crate::report::{Diagnostic, Report};

/// The least MTU of a link that carries IPv6 (RFC 8200, section 5).
const IPV6_MIN_MTU: usize = 1280;

impl Checked {
    /// Checks that what policies add to packets leaves room on the interfaces they leave by.
    ///
    /// `mtu_of` tells the MTU of an interface in bytes, `None` if it is not known. An error says
    /// that no packet fits at all; a warning, that inner packets must be smaller than the 1280
    /// bytes that every IPv6 link carries (RFC 8200, section 5). A segment list leaves by the
    /// interfaces of the route to its first segment; where the file does not tell them, any
    /// interface may be it, and the one with the least MTU is taken.
    pub fn check_mtu(&self, mtu_of: impl Fn(&str) -> Option<u32>) -> Report {
        let config = &self.config;
        let mtus: HashMap<&str, usize> = config
            .interfaces
            .iter()
            .filter_map(|interface| {
                let mtu = mtu_of(&interface.name)?;
                Some((interface.name.as_str(), usize::try_from(mtu).unwrap_or(usize::MAX)))
            })
            .collect();
        let routes: HashMap<Ipv6Net, &RouteAction> = main_routes(config).collect();
        let least = |names: &[&str]| {
            let known = names.iter().filter_map(|name| Some((*mtus.get(name)?, *name)));
            known.min().map(|(mtu, name)| (name.to_owned(), mtu))
        };

        let lists = config
            .policies
            .iter()
            .flat_map(|policy| policy.lists.iter().map(move |list| (policy, list)));
        let found = lists.zip(&self.segment_lists).filter_map(|((policy, list), span)| {
            let names = match exits(list, &routes) {
                names if names.is_empty() => {
                    config.interfaces.iter().map(|interface| &*interface.name).collect()
                }
                names => names,
            };
            let (name, mtu) = least(&names)?;
            let overhead = policy.overhead(list.len());
            let inner = mtu.saturating_sub(overhead);
            let label = format!("{} adds {overhead} bytes", policy.behavior);
            if inner == 0 {
                let found = Diagnostic::error(format!(
                    "policy `{}`: the overhead exceeds the MTU of `{name}`",
                    policy.name
                ));
                return Some(found.at(span.clone(), label).help(format!(
                    "`{name}` has an MTU of {mtu} bytes: raise it, or shorten the list"
                )));
            }
            if inner >= IPV6_MIN_MTU {
                return None;
            }
            let found = Diagnostic::warning(format!(
                "policy `{}` leaves {inner} bytes on `{name}`; IPv6 needs {IPV6_MIN_MTU}",
                policy.name
            ));
            Some(found.at(span.clone(), label).help(format!(
                "raise the MTU of `{name}` from {mtu} to {} bytes at least, or shorten the list",
                IPV6_MIN_MTU + overhead
            )))
        });
        Report::new(self.source.clone(), found.collect())
    }
}

/// The interfaces of the route to the list's first segment; none where the file does not tell.
fn exits<'a>(list: &SegmentList, routes: &HashMap<Ipv6Net, &'a RouteAction>) -> Vec<&'a str> {
    let route = list.segs.first().and_then(|first| longest(routes, *first));
    match route.map(|(_, action)| *action) {
        Some(RouteAction::OnLink(name)) => vec![name],
        Some(RouteAction::Via(next_hops)) => {
            // One that is not told may be any.
            let names: Option<Vec<_>> =
                next_hops.iter().map(|next_hop| next_hop.interface.as_deref()).collect();
            names.unwrap_or_default()
        }
        _ => Vec::new(),
    }
}
