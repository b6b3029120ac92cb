//! From a route of the kernel to where it leads in our terms.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use sidewinder_config::{Config, Headend, Policy, SegmentList};
use sidewinder_dataplane::fib::entry::Discard;

use super::local;
use crate::control::ports::Ports;
use crate::control::rib::{Hop, Key, LeftToKernel, Target, inline};
use crate::kernel::View;
use crate::kernel::lwtunnel::{Encap, Mode, Seg6};
use crate::kernel::route::{Leg, RouteType};

/// What a translation needs to know.
#[derive(Debug)]
pub struct Translator<'a> {
    /// The kernel's links.
    pub view: &'a View,
    /// Ours.
    pub ports: &'a Ports,
    /// The configuration in force.
    pub config: &'a Config,
    /// Tables that are mirrored.
    pub tables: &'a BTreeSet<u32>,
}

impl Translator<'_> {
    /// Where a route leads. `legs` are its own, or those of its next-hop object; `None` where that
    /// is a blackhole. `mtu` is the route's own path MTU.
    pub fn target(
        &self,
        key: &Key,
        kind: RouteType,
        legs: Option<&[Leg]>,
        mtu: Option<u32>,
    ) -> Target {
        match kind {
            RouteType::Unicast => {}
            RouteType::Local | RouteType::Broadcast | RouteType::Anycast => return Target::Host,
            RouteType::Blackhole => return Target::Discard(Discard::Blackhole),
            RouteType::Unreachable => return Target::Discard(Discard::Unreachable),
            RouteType::Prohibit => return Target::Discard(Discard::Prohibit),
            RouteType::Throw => return Target::Kernel(LeftToKernel::Type("throw".into())),
            RouteType::Multicast => {
                return Target::Kernel(LeftToKernel::Type("multicast".into()));
            }
            RouteType::Other(number) => {
                return Target::Kernel(LeftToKernel::Type(number.to_string().into()));
            }
        }
        let Some(legs) = legs else { return Target::Discard(Discard::Blackhole) };
        self.unicast(key, legs, mtu).unwrap_or_else(Target::Kernel)
    }

    fn unicast(&self, key: &Key, legs: &[Leg], mtu: Option<u32>) -> Result<Target, LeftToKernel> {
        let Some(first) = legs.first() else { return Err(LeftToKernel::NextHopObject) };
        if let (Some(Encap::Local(local)), [leg], IpNet::V6(prefix)) =
            (&first.encap, legs, key.prefix)
        {
            return local::target(self, prefix, leg.link, local);
        }
        // A path MTU below the link's is the kernel's to keep to.
        let link_mtu = |leg: &Leg| self.view.links.get(&leg.link).map_or(0, |link| link.mtu);
        if let Some(mtu) = mtu
            && mtu != 0
            && legs.iter().any(|leg| mtu < link_mtu(leg))
        {
            return Err(LeftToKernel::Mtu(mtu));
        }
        match &first.encap {
            None if legs.iter().all(|leg| leg.encap.is_none()) => self.plain(key, legs),
            Some(Encap::Seg6(seg6)) => self.policy(seg6.mode, legs),
            Some(Encap::Other(name)) => Err(LeftToKernel::Encapsulation((*name).into())),
            Some(Encap::Local(_)) | None => Err(LeftToKernel::MixedNextHops),
        }
    }

    fn plain(&self, key: &Key, legs: &[Leg]) -> Result<Target, LeftToKernel> {
        if let [Leg { link, gateway: None, .. }] = legs {
            return Ok(Target::OnLink(self.served(*link)?));
        }
        let host = key.prefix.prefix_len() == key.prefix.max_prefix_len();
        legs.iter()
            .map(|leg| {
                let own = || host.then(|| key.prefix.addr());
                let address = leg.gateway.or_else(own).ok_or(LeftToKernel::MixedNextHops)?;
                let interface = Some(self.served(leg.link)?);
                Ok(Hop { weight: leg.weight, ..Hop::new(address, interface) })
            })
            .collect::<Result<Vec<_>, _>>()
            .map(|hops| Target::Via(hops.into()))
    }

    /// Legs that encapsulate are the segment lists of a policy: the kernel, too, looks the first
    /// segment up again, whatever device the route names.
    fn policy(&self, mode: Mode, legs: &[Leg]) -> Result<Target, LeftToKernel> {
        let behavior = match mode {
            Mode::Encap => Headend::HEncaps,
            Mode::EncapRed => Headend::HEncapsRed,
            Mode::Inline => Headend::HInsert,
            Mode::L2Encap | Mode::L2EncapRed => {
                return Err(LeftToKernel::Encapsulation(
                    format!("seg6 mode {}", mode.name()).into(),
                ));
            }
        };
        let lists = legs
            .iter()
            .map(|leg| match &leg.encap {
                Some(Encap::Seg6(Seg6 { mode: same, segs })) if *same == mode => {
                    // Weights of ours are smaller: the kernel's are seldom large.
                    let weight = leg.weight.clamp(1, u32::from(u8::MAX)) as u8;
                    Ok(list(segs, weight))
                }
                _ => Err(LeftToKernel::MixedNextHops),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let source = match (mode, encap_source(self.config, self.ports)) {
            (_, Some(source)) => source,
            // There is no outer header.
            (Mode::Inline, None) => Ipv6Addr::UNSPECIFIED,
            (_, None) => return Err(LeftToKernel::NoEncapSource),
        };
        Ok(Target::Encap(inline(Policy::new(behavior, lists, source))))
    }

    /// The policy of a SID that carries its segments itself.
    pub fn binding(&self, segs: &[Ipv6Addr]) -> Result<Arc<Policy>, LeftToKernel> {
        let source = encap_source(self.config, self.ports).ok_or(LeftToKernel::NoEncapSource)?;
        Ok(inline(Policy::new(Headend::HEncaps, vec![list(segs, 1)], source)))
    }

    /// Our name of a link that packets can leave by.
    pub fn served(&self, link: u32) -> Result<Arc<str>, LeftToKernel> {
        match self.ports.by_link(link).and_then(|port| self.ports.get(port)) {
            Some(port) if !port.replaced => Ok(Arc::clone(&port.name)),
            _ => Err(LeftToKernel::Interface(match self.view.links.get(&link) {
                Some(found) => found.name.as_str().into(),
                None => format!("interface {link}").into(),
            })),
        }
    }

    /// Where the neighbour of a SID is: on the link that is named for it; a link-local one else on
    /// the link of the route; another where its address leads.
    pub fn interface_of(
        &self,
        neighbour: IpAddr,
        link: u32,
        oif: u32,
    ) -> Result<Option<String>, LeftToKernel> {
        let local = matches!(neighbour, IpAddr::V6(address) if address.is_unicast_link_local());
        let link = match oif {
            0 if local => link,
            0 => return Ok(None),
            oif => oif,
        };
        Ok(Some(self.served(link)?.to_string()))
    }

    /// Whether we have the routes of a table.
    pub fn has_table(&self, table: u32) -> bool {
        self.tables.contains(&table)
            || self.config.interfaces.iter().any(|interface| interface.table.0 == table)
            || self.config.routes.iter().any(|route| route.table.0 == table)
    }
}

fn list(segs: &[Ipv6Addr], weight: u8) -> SegmentList {
    SegmentList { segs: segs.to_vec(), structures: Vec::new(), via: Vec::new(), weight, path: 0 }
}

/// Source of the outer headers of routes that encapsulate: the kernel does not tell which one it
/// would take.
pub fn encap_source(config: &Config, ports: &Ports) -> Option<Ipv6Addr> {
    config.router.encap_source.or_else(|| ports.some_address())
}
