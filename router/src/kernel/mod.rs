//! The kernel's links, addresses and neighbours, and if asked for its routes, followed over netlink.
//!
//! [`Kernel`] holds a [`View`]: a full dump at the start, then every change as the kernel tells it.
//! Routes are not part of it, since there may be many: they are handed on as [`Event`]s, first what
//! there is, then what changes. Reading order: `view` (plain data and what makes an [`Event`]),
//! `message` and `route` (bytes to data), `notifications` and `requests` (the two sockets),
//! `route_dump` (a third, to read routes beside other work), `neighbours` (having the kernel resolve
//! a next hop).
//!
//! The subscription always begins before the dump, so no change falls between the two. If
//! notifications are lost, a new subscription and a new dump take their place, and the difference
//! to what we knew comes as events: nothing is guessed. The network namespace is the one of the
//! thread that calls [`Kernel::open`].

mod attributes;
mod error;
mod event;
mod frame;
pub mod lwtunnel;
mod message;
mod neighbours;
mod notifications;
mod requests;
pub mod route;
mod route_dump;
mod routes;
#[cfg(test)]
pub(crate) mod tests;
mod view;

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

pub use error::{Error, Result};
pub use event::Event;
pub use requests::Dump;
pub use route_dump::Extent;
pub use view::{Address, AddressKey, Link, Neighbour, View};

use message::Message;
use neighbours::Wanted;
use notifications::{Heard, Notifications};
use requests::Requests;
use routes::Routes;

/// Dumps in a row that may find the tables changing under them, before we go on with what we have
/// and try again later.
const DUMP_ATTEMPTS: usize = 8;

/// Between two dumps, while changes come faster than we can follow.
const RESYNC_PAUSE: Duration = Duration::from_millis(100);

/// The kernel, as seen from one network namespace.
pub struct Kernel {
    notifications: Notifications,
    requests: Requests,
    view: View,
    wanted: Wanted,
    /// Messages heard in one go.
    heard: Vec<Message>,
    /// Events not handed over yet.
    pending: Vec<Event>,
    /// The view may have missed something: when to dump again.
    stale: Option<Instant>,
    /// Times that everything was read anew.
    resyncs: u64,
    /// Size of the notifications' receive buffer, in bytes.
    buffer: usize,
    /// The routes, where they are followed.
    routes: Option<Routes>,
}

impl Kernel {
    /// Subscribes to changes and reads everything once. Must be called inside a tokio runtime with
    /// I/O and time enabled; needs no privilege.
    ///
    /// Fails if there are no sockets to be had, or the kernel refuses the dump.
    pub fn open() -> Result<Kernel> {
        Kernel::open_with(notifications::ROOMY)
    }

    /// As [`Kernel::open`], with a receive buffer of so many bytes.
    pub(crate) fn open_with(buffer: usize) -> Result<Kernel> {
        let mut kernel = Kernel {
            notifications: Notifications::subscribe(buffer, false)?,
            requests: Requests::open()?,
            view: View::default(),
            wanted: Wanted::default(),
            heard: Vec::new(),
            pending: Vec::new(),
            stale: None,
            resyncs: 0,
            buffer,
            routes: None,
        };
        kernel.resync()?;
        kernel.pending.clear();
        Ok(kernel)
    }

    /// Links, addresses and neighbours as of the last event handed over.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// How many times notifications were lost and everything was read anew.
    pub fn resyncs(&self) -> u64 {
        self.resyncs
    }

    /// Waits for the next changes and takes them into the view. Never returns an empty list.
    ///
    /// Cancel-safe: no change is lost when the future is dropped before it is ready.
    ///
    /// Fails if the kernel can no longer be heard or asked; the call may be repeated, and then
    /// begins with a new dump.
    pub async fn changed(&mut self) -> Result<Vec<Event>> {
        loop {
            if !self.pending.is_empty() {
                let events = std::mem::take(&mut self.pending);
                self.follow_up(&events);
                return Ok(events);
            }
            if let Some(when) = self.stale {
                sleep_until(when).await;
                self.resync()?;
                continue;
            }
            let (view, pending) = (&mut self.view, &mut self.pending);
            let heard = match &mut self.routes {
                None => {
                    self.notifications.next(|message| pending.extend(view.apply(message))).await
                }
                Some(routes) => {
                    let (notifications, buffer) = (&mut self.notifications, &mut self.heard);
                    tokio::select! {
                        biased;
                        heard = notifications.next(|message| buffer.push(message)) => {
                            for message in buffer.drain(..) {
                                routes.hear(message, view, pending);
                            }
                            heard
                        }
                        read = routes.read(pending) => {
                            read?;
                            continue;
                        }
                    }
                }
            };
            if !matches!(heard, Ok(Heard::All)) {
                self.resyncs += 1;
                self.stale = Some(Instant::now());
            }
            heard?;
        }
    }

    /// Follows the kernel's routes from now on, or no more. Their dump comes as events.
    ///
    /// Fails if there is no socket to be had; then the view is read anew with the next
    /// [`changed`](Self::changed).
    pub fn follow_routes(&mut self, follow: bool) -> Result<()> {
        if follow != self.routes.is_some() {
            self.routes = follow.then(Routes::default);
            self.resync()?;
        }
        Ok(())
    }

    /// Whether routes are being read, and not all have been told.
    pub fn is_reading_routes(&self) -> bool {
        self.routes.as_ref().is_some_and(Routes::is_reading)
    }

    /// Has routes told anew, soon: what is known of them is in doubt.
    pub fn read_routes_again(&mut self, extent: Extent) {
        if let Some(routes) = &mut self.routes {
            routes.suspect(extent);
        }
    }

    /// Begins anew: a new subscription, a new dump, and the difference as events.
    ///
    /// The old subscription cannot go on after an overrun: the kernel sends nothing more to it
    /// until it has been read empty, and the dump would have to wait for that moment.
    fn resync(&mut self) -> Result<()> {
        self.stale = Some(Instant::now() + RESYNC_PAUSE);
        self.notifications = Notifications::subscribe(self.buffer, self.routes.is_some())?;
        let mut read = self.requests.dump()?;
        for _ in 1..DUMP_ATTEMPTS {
            if read.1 == Dump::Whole {
                break;
            }
            read = self.requests.dump()?;
        }
        let (view, dump) = read;
        self.pending.extend(View::diff(&self.view, &view));
        self.view = view;
        if dump == Dump::Whole {
            self.stale = None;
        }
        if let Some(routes) = &mut self.routes {
            routes.begin_anew(&mut self.pending)?;
        }
        Ok(())
    }
}
