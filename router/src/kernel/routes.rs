//! Following the kernel's routes: dumps, and what was heard meanwhile.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::RESYNC_PAUSE;
use super::error::Result;
use super::event::Event;
use super::message::Message;
use super::requests::Dump;
use super::route::RouteMessage;
use super::route_dump::{Extent, RouteDump};
use super::view::View;

/// How long to wait after the kernel may have changed routes without a word, before they are read:
/// what happens to one link often happens to several.
const SUSPICION: Duration = Duration::from_millis(20);

/// The state of following.
#[derive(Debug, Default)]
pub struct Routes {
    dump: Option<RouteDump>,
    /// What was heard since the dump began, to be told after it.
    held: Vec<RouteMessage>,
    /// When to read again, and what.
    again: Option<(Instant, Extent)>,
}

impl Routes {
    /// Whether not all routes have been told.
    pub fn is_reading(&self) -> bool {
        self.dump.is_some() || self.again.is_some()
    }

    /// Has routes read again soon.
    pub fn suspect(&mut self, extent: Extent) {
        self.again_at(Instant::now() + SUSPICION, extent);
    }

    fn again_at(&mut self, when: Instant, extent: Extent) {
        let (when, extent) = match self.again {
            Some((sooner, all)) if all == Extent::All => (sooner.min(when), all),
            Some((sooner, _)) => (sooner.min(when), extent),
            None => (when, extent),
        };
        self.again = Some((when, extent));
    }

    /// Forgets what was heard, and reads everything.
    pub fn begin_anew(&mut self, events: &mut Vec<Event>) -> Result<()> {
        self.dump = None;
        self.held.clear();
        self.begin(Extent::All, events)
    }

    fn begin(&mut self, extent: Extent, events: &mut Vec<Event>) -> Result<()> {
        self.again = Some((Instant::now() + RESYNC_PAUSE, extent));
        self.dump = Some(RouteDump::begin(extent)?);
        self.again = None;
        events.push(Event::DumpBegins(extent));
        Ok(())
    }

    /// Takes a notification: into the view, or on to the events, now or after the dump.
    pub fn hear(&mut self, message: Message, view: &mut View, events: &mut Vec<Event>) {
        match message {
            Message::Route(message) if self.dump.is_some() => self.held.push(message),
            message => {
                let before = events.len();
                events.extend(view.apply(message));
                for extent in events[before..].iter().filter_map(in_doubt) {
                    self.suspect(extent);
                }
            }
        }
    }

    /// Reads on; waits for ever where there is nothing to read. Cancel-safe.
    pub async fn read(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let Some(dump) = &mut self.dump else {
            let Some((when, extent)) = self.again else { return std::future::pending().await };
            sleep_until(when).await;
            return self.begin(extent, events);
        };
        let extent = dump.extent;
        match dump.next(|message| events.push(Event::Route(message))).await {
            Ok(None) => {}
            Ok(Some(whole)) => {
                self.dump = None;
                events.extend(self.held.drain(..).map(Event::Route));
                events.push(Event::DumpEnds(extent, whole));
                if whole == Dump::Interrupted {
                    self.again_at(Instant::now() + RESYNC_PAUSE, extent);
                }
            }
            Err(error) => {
                self.dump = None;
                events.extend(self.held.drain(..).map(Event::Route));
                events.push(Event::DumpEnds(extent, Dump::Interrupted));
                self.again_at(Instant::now() + RESYNC_PAUSE, extent);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What the kernel may remove or change with this without a word.
///
/// With a link go its IPv4 routes, its next-hop objects and their places in groups, and where
/// `net.ipv6.route.skip_notify_on_dev_down` or `net.ipv4.nexthop_compat_mode` says so also IPv6
/// routes. With a link's MTU change those of its routes.
fn in_doubt(event: &Event) -> Option<Extent> {
    match event {
        Event::LinkChanged { before: Some(before), now } => {
            (before.up && !now.up || before.mtu != now.mtu).then_some(Extent::All)
        }
        Event::LinkRemoved(_) => Some(Extent::All),
        Event::AddressRemoved(address) => address.key.ip.is_ipv4().then_some(Extent::Ipv4),
        _ => None,
    }
}
