//! The topology as a source: routes to every locator and prefix by shortest paths from our node,
//! the SIDs that it tells of our node, and segments of policies that name nodes.
//!
//! ```text
//! [bgp_ls::Feed] --News--> TED <--description-- the file
//!                           |  at once, then every 50 ms
//!                           v
//!             trees --routes, by hops--> RIB <--sids      policies <--via
//! ```
//!
//! What a session has told stays for a while after its end, marked as stale, and goes if the next
//! session does not tell it again.

mod damping;
mod description;
mod down;
mod hops;
mod load;
mod sids;
mod topology;
mod trees;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use ipnet::IpNet;
use sidewinder_config::{BgpLsSource, BgpSession, Config};
use sidewinder_linkstate::bgp::session::{self, News};
use sidewinder_linkstate::reason::Tally;
use sidewinder_linkstate::spf::{FirstHop, Route};
use sidewinder_linkstate::ted::{Changes, Event, Nlri, Ted};
use sidewinder_linkstate::via;

use self::damping::Damping;
use self::down::Down;
use self::hops::Places;
use self::load::Load;
use self::sids::Sids;
use self::trees::{Own, Trees};
use crate::control::rib::{Hop, Key, Opinion, Source, Target};
use crate::control::{Control, policies};
use crate::kernel::View;
use crate::source::bgp_ls::{self, Feed, Message, Ready, Side};

pub use sids::Skipped;
pub use topology::{Format, Topology, TopologyLink, TopologyNode};
pub use trees::Runs;

/// How long a peer may take to tell everything again while the session lasts (RFC 7313, section 4).
/// That has nothing to do with how long routes stay without a session.
const REFRESH: Duration = Duration::from_secs(300);

/// The topology, and what follows from it.
#[derive(Debug, Default)]
pub struct LinkState {
    ted: Ted,
    tally: Tally,
    feed: Option<(bgp_ls::Settings, Feed)>,
    grace: Duration,
    own: Own,
    /// What the file tells.
    written: Vec<Event>,
    trees: Trees,
    places: Places,
    down: Down,
    sids: Sids,
    load: Load,
    /// Hops of routes that are on no interface of ours, by prefix.
    lost: HashSet<IpNet, RandomState>,
    /// Prefixes whose next hops are on no interface of ours: other routes may lead to these.
    elsewhere: HashSet<IpNet, RandomState>,
    /// Sessions whose end was taken notice of.
    #[cfg(test)]
    ended: u64,
    /// When what is stale is swept.
    sweep_at: Option<Instant>,
    damping: Damping,
    /// Since when a computation is due.
    due: Option<Instant>,
    /// Everything is to be told to the RIB, also what has not changed.
    all: bool,
    /// How long the last computation took, from the TED to the RIB.
    took: Duration,
}

impl LinkState {
    /// Takes what a configuration says of topology and session. What a session before has told
    /// stays, if the new one may tell it again. Where it fails, all is as before.
    pub async fn configure(&mut self, config: &Config) -> anyhow::Result<()> {
        let bgp_ls = config.sources.bgp_ls.as_ref();
        let settings = bgp_ls.map(settings);
        if let Some(settings) = &settings {
            bgp_ls::check(settings)?;
        }
        let before = self.feed.as_ref();
        let same = before.map(|(settings, _)| settings) == settings.as_ref();
        let ready = match settings.filter(|_| !same) {
            Some(settings) => {
                let ready = Ready::new(settings.clone(), before.map(|(_, feed)| feed))?;
                Some((settings, ready))
            }
            None => None,
        };
        // Nothing fails from here on.
        self.grace =
            bgp_ls.map_or(Duration::ZERO, |bgp_ls| Duration::from_secs(bgp_ls.grace.into()));
        self.write(config);
        let own = Own {
            feed: bgp_ls.and_then(|bgp_ls| {
                Some((description::router_id(&bgp_ls.router_id)?, bgp_ls.instance))
            }),
            name: (!config.nodes.is_empty()).then(|| config.router.name.clone()),
        };
        if own != self.own {
            self.own = own;
            self.changed(Instant::now());
        }
        // Names in policies may be others.
        self.all = true;
        self.changed(Instant::now());
        if same {
            return Ok(());
        }
        if let Some((_, feed)) = self.feed.take() {
            feed.replace().await;
            self.down(ready.is_some(), Instant::now());
        }
        self.feed = ready.map(|(settings, ready)| (settings, ready.start()));
        Ok(())
    }

    /// Puts the file's topology in the place of what it said before.
    fn write(&mut self, config: &Config) {
        let written = description::events(config);
        let kept: HashSet<Nlri> = written.iter().filter_map(Event::nlri).collect();
        let before = std::mem::replace(&mut self.written, written);
        for nlri in before.iter().filter_map(Event::nlri).filter(|nlri| !kept.contains(nlri)) {
            self.ted.apply(Event::Withdraw(nlri), &mut self.tally);
        }
        self.rewrite();
    }

    /// Tells the TED what the file says, again: that is never stale.
    fn rewrite(&mut self) {
        for event in &self.written {
            self.ted.apply(event.clone(), &mut self.tally);
        }
        if self.ted.has_changes() {
            self.changed(Instant::now());
        }
    }

    /// Says goodbye to the peer.
    pub async fn stop(&mut self) {
        if let Some((_, feed)) = self.feed.take() {
            feed.stop().await;
        }
    }

    /// Takes news until a computation is due; [`run`](Self::run) is to be called then. May be
    /// dropped and called again.
    pub async fn due(&mut self) {
        loop {
            let deadline = [self.due, self.sweep_at].into_iter().flatten().min();
            let feed = &mut self.feed;
            let news = async {
                match feed {
                    Some((_, feed)) => feed.next().await,
                    None => std::future::pending().await,
                }
            };
            let wait = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = wait => {}
                message = news => self.take(message, Instant::now()),
            }
            let now = Instant::now();
            if self.sweep_at.is_some_and(|at| at <= now) {
                self.sweep(now);
            }
            if self.due.is_some_and(|due| due <= now) {
                return;
            }
        }
    }

    /// Takes what comes from the session.
    fn take(&mut self, message: Message, now: Instant) {
        let news = match message {
            Message::News(news) => news,
            Message::Down { resumes } => return self.down(resumes, now),
        };
        for one in news {
            match one {
                News::Event(Event::EndOfRib) | News::RefreshEnds => self.sweep(now),
                News::Event(event) => self.ted.apply(event, &mut self.tally),
                // It is told anew: all that is stale gets the time that it takes.
                News::Established if self.sweep_at.is_some() => {
                    self.sweep_at = Some(now + self.grace);
                }
                News::Established => {}
                News::RefreshBegins => self.mark(now, REFRESH),
            }
        }
        if self.ted.has_changes() {
            self.changed(now);
        }
    }

    fn down(&mut self, resumes: bool, now: Instant) {
        #[cfg(test)]
        {
            self.ended += 1;
        }
        self.mark(now, self.grace);
        if !resumes || self.grace.is_zero() {
            self.sweep(now);
        }
    }

    /// Marks what the session told as stale, for as long as it may be.
    fn mark(&mut self, now: Instant, limit: Duration) {
        self.ted.mark_stale();
        self.sweep_at = Some(now + limit);
        self.rewrite();
        // The RIB is to see what is stale.
        self.all = true;
        self.changed(now);
    }

    /// Forgets what is still stale.
    fn sweep(&mut self, now: Instant) {
        if self.sweep_at.take().is_some() {
            self.ted.sweep_stale();
            self.all = true;
            self.changed(now);
        }
    }

    fn changed(&mut self, now: Instant) {
        self.due.get_or_insert(self.damping.due(now));
    }

    /// Takes a new view of the kernel: first hops may be elsewhere.
    pub fn observe(&mut self, view: &View, control: &Control) {
        let moved = self.places.observe(view, &control.ports);
        self.all |= moved;
        if self.down.observe(&control.ports) || moved {
            self.changed(Instant::now());
        }
    }

    /// Computes what follows from what has changed, and tells the RIB.
    pub fn run(&mut self, control: &mut Control) {
        let began = Instant::now();
        self.due = None;
        self.down.tell(&mut self.ted, &self.trees.own, &self.places);
        let mut changes = self.ted.take_changes();
        let all = std::mem::take(&mut self.all);
        let mut routes = self.trees.follow(&self.ted, &self.own, &changes);
        // Nodes may be ours since then.
        self.down.tell(&mut self.ted, &self.trees.own, &self.places);
        if self.ted.has_changes() {
            let more = self.ted.take_changes();
            // Of two words on a prefix, the first counts.
            routes = [self.trees.follow(&self.ted, &self.own, &more), routes].concat();
            changes.links.extend(more.links);
        }
        let route_of = |prefix: IpNet, trees: &Trees| (prefix, trees.route(&prefix).cloned());
        if all {
            routes.extend(self.trees.prefixes().map(|prefix| route_of(*prefix, &self.trees)));
        }
        let own_changed = |node| self.trees.own.contains(node);
        let sids_changed = all
            || changes.sids.iter().any(own_changed)
            || changes.nodes.iter().any(own_changed)
            || changes.links.iter().any(|(from, to)| own_changed(from) || own_changed(to))
            || changes.sids.len() + changes.nodes.len() > 0 && self.trees.own.is_empty();
        if sids_changed {
            let gone = self.apply_sids(control, began);
            routes.extend(gone.into_iter().map(|prefix| route_of(prefix, &self.trees)));
        }
        if all {
            // What is not said again below is said no longer.
            control.rib.mark_stale(Source::LinkState);
            for (prefix, sid) in sids::prefixes(&self.sids) {
                control.rib.announce(Source::LinkState, key(prefix), opinion(sid), began);
            }
        }
        // Neighbors in the RIB are neighbors in memory.
        routes.sort_by_key(|(prefix, _)| *prefix);
        routes.dedup_by_key(|(prefix, _)| *prefix);
        let mut known = Known::default();
        for (prefix, route) in routes {
            self.apply_route(control, prefix, route.as_ref(), began, &mut known);
        }
        if all {
            control.rib.sweep_stale(Source::LinkState);
            if self.sweep_at.is_some() {
                control.rib.mark_stale(Source::LinkState);
            }
        }
        self.apply_via(control, &changes, all);
        self.took = began.elapsed();
        self.damping.ran(began, self.took);
    }

    /// Brings our SIDs up to date. Prefixes that are SIDs no longer may have routes instead.
    fn apply_sids(&mut self, control: &mut Control, now: Instant) -> Vec<IpNet> {
        let mut sids = Sids::default();
        for &node in &self.trees.own {
            sids.read(&self.ted, node, &mut self.places);
        }
        let old = std::mem::replace(&mut self.sids, sids);
        let mut gone = Vec::new();
        for (prefix, _) in sids::prefixes(&old) {
            if !self.is_sid(&prefix) {
                control.rib.withdraw(Source::LinkState, key(prefix));
                gone.push(prefix);
            }
        }
        for (prefix, sid) in sids::prefixes(&self.sids) {
            control.rib.announce(Source::LinkState, key(prefix), opinion(sid), now);
        }
        gone
    }

    fn is_sid(&self, prefix: &IpNet) -> bool {
        matches!(prefix, IpNet::V6(prefix) if self.sids.local.contains_key(prefix))
    }

    fn apply_route(
        &mut self,
        control: &mut Control,
        prefix: IpNet,
        route: Option<&Route>,
        now: Instant,
        known: &mut Known,
    ) {
        // Mostly, these are empty.
        for some in [&mut self.lost, &mut self.elsewhere] {
            if !some.is_empty() {
                some.remove(&prefix);
            }
        }
        if self.is_sid(&prefix) {
            return;
        }
        let Some(route) = route else {
            control.rib.withdraw(Source::LinkState, key(prefix));
            return;
        };
        let family = matches!(prefix, IpNet::V4(_));
        let hops = known.entry((Arc::as_ptr(&route.hops).cast(), family)).or_insert_with(|| {
            let hops = route.hops.iter();
            let mut hops: Vec<_> =
                hops.filter_map(|hop| self.places.of(&self.ted, hop).hop(&prefix)).collect();
            // Two links to one address are one next hop.
            hops.sort_unstable();
            hops.dedup();
            hops.into()
        });
        if hops.is_empty() {
            self.lost.insert(prefix);
            control.rib.withdraw(Source::LinkState, key(prefix));
            return;
        }
        if hops.iter().all(|hop| hop.interface.is_none()) {
            self.elsewhere.insert(prefix);
        }
        let opinion = Opinion {
            distance: Source::LinkState.distance(),
            metric: route.metric,
            target: Target::Via(Arc::clone(hops)),
        };
        control.rib.announce(Source::LinkState, key(prefix), opinion, now);
    }

    /// Finds the segments of policies that name nodes.
    fn apply_via(&mut self, control: &mut Control, changes: &Changes, all: bool) {
        let concerned = all
            || !changes.nodes.is_empty()
            || !changes.prefixes.is_empty()
            || !changes.sids.is_empty();
        if !concerned {
            return;
        }
        let lists = control.config.policies.iter().flat_map(|policy| &policy.lists);
        let mut found = BTreeMap::new();
        for list in lists.filter(|list| !list.via.is_empty()) {
            let segments = list.via.iter().map(|name| self.segment(name)).collect();
            found.insert(list.via.clone(), segments);
        }
        let structures = self.structures(control, &found);
        control.resolve_via(found, structures);
    }

    /// How the segments of policies that compress them are divided, of those with NEXT-CSID.
    fn structures(&self, control: &Control, via: &policies::Resolved) -> policies::Structures {
        let policies = control.config.policies.iter().filter(|policy| policy.compress);
        let lists: Vec<_> = policies.flat_map(|policy| &policy.lists).collect();
        let named = lists.iter().filter_map(|list| via.get(&list.via)?.as_ref().ok());
        let wanted: BTreeSet<Ipv6Addr> =
            lists.iter().map(|list| &list.segs).chain(named).flatten().copied().collect();
        if wanted.is_empty() {
            return BTreeMap::new();
        }
        let of_nodes = self.ted.sids().filter_map(|(_, sid)| {
            let endpoint = sid.attributes.endpoint?;
            Some((sid.descriptor.sid, endpoint.behavior, sid.attributes.structure?))
        });
        let of_links = self.ted.links().flat_map(|(_, link)| &link.attributes.adjacency_sids);
        let of_links = of_links.filter_map(|sid| Some((sid.sid, sid.behavior, sid.structure?)));
        of_nodes
            .chain(of_links)
            .filter(|(sid, ..)| wanted.contains(sid))
            .filter_map(|(sid, behavior, told)| Some((sid, sids::compressed(sid, behavior, told)?)))
            .collect()
    }

    /// The SID of a node; an address that is no node's is a SID itself.
    fn segment(&self, name: &str) -> Result<Ipv6Addr, String> {
        match (via::resolve(&self.ted, &[name]), name.parse()) {
            (Err(via::ViaError::Find(_)), Ok(sid)) => Ok(sid),
            (segments, _) => match segments.as_deref() {
                Ok([segment, ..]) => Ok(segment.sid),
                Ok([]) => Err(format!("`{name}` is no segment")),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    /// Notes how much interfaces have sent, to know the load of links.
    pub fn sample(&mut self, sent: impl Iterator<Item = (Arc<str>, u64)>) {
        self.load.sample(sent, Instant::now());
    }
}

/// Next hops by the first hops of routes, which many share, and whether they are for IPv4.
type Known = HashMap<(*const FirstHop, bool), Arc<[Hop]>, RandomState>;

fn key(prefix: IpNet) -> Key {
    Key { table: Key::MAIN, prefix }
}

fn opinion(sid: &Arc<sidewinder_config::LocalSid>) -> Opinion {
    Opinion::of(Source::LinkState, Target::Sid(Arc::clone(sid)))
}

/// What a session needs, as the file says it.
fn settings(bgp_ls: &BgpLsSource) -> bgp_ls::Settings {
    bgp_ls::Settings {
        session: session::Settings {
            local_as: bgp_ls.local_as,
            peer_as: bgp_ls.peer_as,
            identifier: bgp_ls.identifier,
            hold_time: bgp_ls.hold_time,
        },
        side: match bgp_ls.session {
            BgpSession::Peer { address, local } => Side::Active { peer: address, from: local },
            BgpSession::Listen { address, from } => Side::Passive { listen: address, from },
        },
        password_file: bgp_ls.password_file.clone(),
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
