//! The kernel as a source: a mirror of its routes.
//!
//! The RIB holds the mirror; here is what is needed to keep it: next-hop objects, and which prefixes
//! have more routes than the RIB shows. `translate` and `local` say what a route of the kernel is in
//! our terms, or why it is left to the kernel.
//!
//! Among routes with the same prefix and metric the kernel uses the first. The mirror has that one;
//! when one of several goes, routes are read again rather than guessed.

use std::collections::{BTreeSet, HashSet};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sidewinder_config::{KernelSource, Policy};

use crate::control::Control;
use crate::control::rib::{Hop, Key, LeftToKernel, Opinion, Source, Target};
use crate::kernel::route::{Place, Route, RouteMessage, RouteType, Way};
use crate::kernel::{Dump, Event, Extent, View};

mod distance;
mod local;
mod objects;
#[cfg(test)]
mod tests;
mod translate;

use objects::{Id, Meaning, Objects};
use translate::Translator;

/// What is to be done after events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doubts {
    /// IPv4 routes have to be read again.
    pub ipv4: bool,
    /// All routes have to be read again.
    pub all: bool,
}

/// The mirror's own knowledge.
#[derive(Debug, Default)]
pub struct Mirror {
    tables: BTreeSet<u32>,
    /// Name of the daemon's own TUN device, whose routes are none.
    tun: String,
    objects: Objects,
    /// Prefix and metric of routes that there are more of, or that lose legs unseen.
    several: HashSet<Id>,
    /// Source address that routes were translated with.
    encap_source: Option<Ipv6Addr>,
    hops: HashSet<Arc<[Hop]>>,
    policies: HashSet<Arc<Policy>>,
    /// Since when routes are being read.
    reading: Option<Instant>,
    /// How long the last reading took, from the first route to the last.
    took: Option<Duration>,
    messages: u64,
    readings: u64,
}

impl Mirror {
    /// A mirror of the tables that the file names. `tun` is the daemon's own TUN device.
    pub fn new(said: &KernelSource, tun: &str, control: &Control) -> Self {
        let tables = said.tables.iter().map(|table| table.0).collect();
        let encap_source = translate::encap_source(&control.config, &control.ports);
        Self { tables, tun: tun.to_owned(), encap_source, ..Self::default() }
    }

    /// The tables that are mirrored.
    pub fn tables(&self) -> &BTreeSet<u32> {
        &self.tables
    }

    /// State, and what else there is to know.
    pub fn describe(&self) -> (String, serde_json::Map<String, serde_json::Value>) {
        let state = if self.reading.is_some() { "reading" } else { "up" };
        let tables: Vec<String> =
            self.tables.iter().map(|table| sidewinder_config::Table(*table).to_string()).collect();
        let mut details = serde_json::Map::new();
        details.insert("tables".into(), tables.into());
        details.insert("nexthop-objects".into(), self.objects.len().into());
        details.insert("messages".into(), self.messages.into());
        details.insert("readings".into(), self.readings.into());
        if let Some(took) = self.took {
            details.insert("last-reading-ms".into(), (took.as_millis() as u64).into());
        }
        (state.into(), details)
    }

    /// Takes events into the RIB, and says what they leave in doubt.
    pub fn follow(&mut self, events: &[Event], view: &View, control: &mut Control) -> Doubts {
        let now = Instant::now();
        let source = translate::encap_source(&control.config, &control.ports);
        let before = std::mem::replace(&mut self.encap_source, source);
        let mut doubts = Doubts { ipv4: false, all: before != source };
        for event in events {
            match event {
                Event::Route(message) => {
                    self.messages += 1;
                    self.take(message, view, control, now, &mut doubts);
                }
                Event::DumpBegins(extent) => self.begin(*extent, control, now),
                Event::DumpEnds(extent, whole) => self.end(*extent, *whole, control, now),
                _ => {}
            }
        }
        doubts
    }

    fn begin(&mut self, extent: Extent, control: &mut Control, now: Instant) {
        let concerned = |key: &Key| extent == Extent::All || matches!(key.prefix, IpNet::V4(_));
        control.rib.mark_stale_where(Source::Kernel, concerned);
        self.several.retain(|(key, _)| !concerned(key));
        if extent == Extent::All {
            self.objects.begin();
        }
        self.reading = Some(now);
    }

    fn end(&mut self, extent: Extent, whole: Dump, control: &mut Control, now: Instant) {
        // Otherwise it is read again, and until then what was there is still there.
        if whole == Dump::Whole {
            let swept = control.rib.sweep_stale(Source::Kernel);
            for id in swept {
                self.objects.point(id, None);
            }
            if extent == Extent::All {
                self.objects.sweep();
            }
            self.took = self.reading.take().map(|begun| now - begun);
        }
        self.readings += 1;
        self.hops.retain(|hops| Arc::strong_count(hops) > 1);
        self.policies.retain(|policy| Arc::strong_count(policy) > 1);
    }

    fn take(
        &mut self,
        message: &RouteMessage,
        view: &View,
        control: &mut Control,
        now: Instant,
        doubts: &mut Doubts,
    ) {
        match message {
            RouteMessage::Route(route, place) => {
                if self.concerns_us(route, view) {
                    self.route(route, *place, view, control, now);
                }
            }
            RouteMessage::RouteGone(route) => {
                if self.concerns_us(route, view) {
                    self.gone(route, view, control, now, doubts);
                }
            }
            RouteMessage::Object(id, object) => {
                for concerned in self.objects.set(*id, object.clone()) {
                    self.point_again(concerned, *id, view, control, now);
                }
            }
            RouteMessage::ObjectGone(id) => {
                for (key, metric) in self.objects.remove(*id) {
                    self.objects.point((key, metric), None);
                    control.rib.withdraw_metric(Source::Kernel, key, metric);
                }
            }
        }
    }

    /// Routes to what is never forwarded, of other tables, and of our own device are not mirrored.
    fn concerns_us(&self, route: &Route, view: &View) -> bool {
        let own = |link: &u32| view.links.get(link).is_some_and(|link| link.name == self.tun);
        let to_own_device = match &route.way {
            Way::Legs(legs) => legs.iter().any(|leg| own(&leg.link)),
            Way::Object(_) => false,
        };
        let forwarded = match route.prefix {
            IpNet::V6(prefix) => {
                let address = prefix.addr();
                let len = prefix.prefix_len();
                !(len >= 8 && address.is_multicast()
                    || len >= 10 && address.is_unicast_link_local()
                    || len == 128 && address.is_loopback())
            }
            IpNet::V4(prefix) => {
                let address = prefix.addr();
                let len = prefix.prefix_len();
                !(len >= 4 && address.is_multicast()
                    || len >= 8 && address.is_loopback()
                    || len >= 16 && address.is_link_local()
                    || len == 32 && address.is_broadcast())
            }
        };
        self.tables.contains(&route.table)
            && forwarded
            && !to_own_device
            && route.kind != RouteType::Multicast
    }

    fn route(
        &mut self,
        route: &Route,
        place: Place,
        view: &View,
        control: &mut Control,
        now: Instant,
    ) {
        let key = Key { table: route.table, prefix: route.prefix };
        let id = (key, route.metric);
        let there = control
            .rib
            .with_metric(Source::Kernel, &key, route.metric)
            .is_some_and(|there| !there.stale);
        let legs = match &route.way {
            Way::Legs(legs) => legs.len(),
            Way::Object(_) => 1,
        };
        let v6 = matches!(key.prefix, IpNet::V6(_));
        if there && place != Place::Alone {
            // An IPv6 route with gateways is told whole when a leg is added.
            let whole = v6 && place != Place::Listed && legs > 1;
            if !whole {
                self.several.insert(id);
                if v6 || place != Place::Before {
                    return;
                }
            }
        }
        let object = match &route.way {
            Way::Object(object) => Some(*object),
            Way::Legs(_) => None,
        };
        self.objects.point_with(id, object, route.mtu);
        let target = if route.selective {
            self.several.insert(id);
            Target::Kernel(LeftToKernel::Selective)
        } else {
            self.translate(&key, route, view, control)
        };
        if v6 && legs > 1 && matches!(target, Target::Kernel(_) | Target::Encap(_)) {
            self.several.insert(id);
        }
        let distance = distance::of(route.protocol);
        let opinion = Opinion { distance, metric: route.metric, target };
        control.rib.announce_beside(Source::Kernel, key, opinion, now);
    }

    fn translate(&mut self, key: &Key, route: &Route, view: &View, control: &Control) -> Target {
        let meaning = match &route.way {
            Way::Object(object) => Some(self.objects.meaning(*object)),
            Way::Legs(_) => None,
        };
        let legs = match (&route.way, &meaning) {
            (Way::Legs(legs), _) => Some(&legs[..]),
            (_, Some(Meaning::Legs(legs))) => Some(&legs[..]),
            (_, Some(Meaning::Nothing)) => Some(&[][..]),
            (_, Some(Meaning::Blackhole) | None) => None,
        };
        let translator = Translator {
            view,
            ports: &control.ports,
            config: &control.config,
            tables: &self.tables,
        };
        let target = translator.target(key, route.kind, legs, route.mtu);
        self.share(target)
    }

    /// The same where it is the same: a table leads to few next hops.
    fn share(&mut self, target: Target) -> Target {
        match target {
            Target::Via(hops) => Target::Via(shared(&mut self.hops, hops)),
            Target::Encap(policy) => Target::Encap(shared(&mut self.policies, policy)),
            Target::Binding(sid, policy) => {
                Target::Binding(sid, shared(&mut self.policies, policy))
            }
            other => other,
        }
    }

    /// A route whose next-hop object, or a member of it, is another one now.
    fn point_again(
        &mut self,
        (key, metric): Id,
        changed: u32,
        view: &View,
        control: &mut Control,
        now: Instant,
    ) {
        let Some(there) = control.rib.with_metric(Source::Kernel, &key, metric) else { return };
        // The route itself is about to be told, or has gone.
        if there.stale {
            return;
        }
        let distance = there.opinion.distance;
        let route = Route {
            table: key.table,
            prefix: key.prefix,
            metric,
            protocol: 0,
            kind: RouteType::Unicast,
            selective: false,
            mtu: self.objects.mtu_of(&(key, metric)),
            way: Way::Object(self.objects.of(&(key, metric)).unwrap_or(changed)),
        };
        let target = self.translate(&key, &route, view, control);
        let opinion = Opinion { distance, metric, target };
        control.rib.announce_beside(Source::Kernel, key, opinion, now);
    }

    fn gone(
        &mut self,
        route: &Route,
        view: &View,
        control: &mut Control,
        now: Instant,
        doubts: &mut Doubts,
    ) {
        let key = Key { table: route.table, prefix: route.prefix };
        let metric = route.metric;
        let id = (key, metric);
        if self.several.contains(&id) {
            match key.prefix {
                IpNet::V6(_) => doubts.all = true,
                IpNet::V4(_) => doubts.ipv4 = true,
            }
            return;
        }
        let Some(there) = control.rib.with_metric(Source::Kernel, &key, metric) else { return };
        // Of an IPv6 route with several gateways, single ones may go.
        if let (IpNet::V6(_), Target::Via(hops), None) =
            (key.prefix, &there.opinion.target, self.objects.of(&id))
            && hops.len() > 1
        {
            let (hops, distance) = (Arc::clone(hops), there.opinion.distance);
            if let Target::Via(gone) = self.translate(&key, route, view, control) {
                let same =
                    |a: &Hop, b: &Hop| (&a.address, &a.interface) == (&b.address, &b.interface);
                let left: Vec<Hop> = hops
                    .iter()
                    .filter(|hop| !gone.iter().any(|gone| same(hop, gone)))
                    .cloned()
                    .collect();
                if !left.is_empty() {
                    let target = self.share(Target::Via(left.into()));
                    let opinion = Opinion { distance, metric, target };
                    control.rib.announce_beside(Source::Kernel, key, opinion, now);
                    return;
                }
            }
        }
        self.objects.point(id, None);
        control.rib.withdraw_metric(Source::Kernel, key, metric);
    }
}

fn shared<T: ?Sized + Eq + std::hash::Hash>(all: &mut HashSet<Arc<T>>, item: Arc<T>) -> Arc<T> {
    match all.get(&item) {
        Some(found) => Arc::clone(found),
        None => {
            all.insert(Arc::clone(&item));
            item
        }
    }
}
