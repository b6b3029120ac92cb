//! The task that keeps a session.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sidewinder_linkstate::bgp::notification::{Notification, cease, code};
use sidewinder_linkstate::bgp::session::{End, News, Session, State, retry_delay};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::status::{Ended, Phase, Status};
use super::{Message, Settings, Side, password, transport, words};

/// What is read at once. Its news are what waits at most for whoever takes them.
const CHUNK: usize = 64 * 1024;
/// How long a session has to last for the next one not to wait longer than a second.
const STEADY: Duration = Duration::from_secs(10);
/// How long the last words of a session may take.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// All that can fail of a session's beginning, done.
#[derive(Debug)]
pub(super) struct Ground {
    key: Option<Vec<u8>>,
    /// Where the other side connects to, if it does.
    pub(super) listener: Option<Arc<TcpListener>>,
}

impl Ground {
    /// Prepares a session. It may listen where one `before` does, which is to end.
    pub(super) fn new(settings: &Settings, before: Option<&TcpListener>) -> anyhow::Result<Self> {
        let key = password(settings)?;
        let listener = match &settings.side {
            Side::Active { .. } => None,
            Side::Passive { listen, from } => Some(Arc::new(
                transport::listen(*listen, *from, key.as_deref(), before)
                    .with_context(|| format!("cannot listen for BGP on {listen}"))?,
            )),
        };
        Ok(Self { key, listener })
    }
}

/// Keeps a session until `stop` says which Cease to end it with.
pub(super) async fn run(
    settings: Settings,
    ground: Ground,
    messages: mpsc::Sender<Message>,
    status: Arc<Mutex<Status>>,
    stop: Stop,
) {
    let Ground { key, listener } = ground;
    let speaker = Speaker { settings, key, messages, status };
    match listener {
        Some(listener) => speaker.passive(&listener, stop).await,
        None => speaker.active(stop).await,
    }
}

struct Speaker {
    settings: Settings,
    key: Option<Vec<u8>>,
    messages: mpsc::Sender<Message>,
    status: Arc<Mutex<Status>>,
}

/// Says which Cease to end with, once.
type Stop = oneshot::Receiver<u8>;

/// What comes after a session.
enum After {
    /// Another, after a while.
    Again,
    /// One on a connection that there is already.
    On(TcpStream),
    /// Nothing.
    Nothing,
}

impl Speaker {
    async fn active(self, mut stop: Stop) {
        let Side::Active { peer, from } = self.settings.side.clone() else { return };
        let mut failures = 0;
        loop {
            self.status().enter(Phase::Connect);
            let connected = tokio::select! {
                connected = transport::connect(peer, from, self.key.as_deref()) => connected,
                _ = &mut stop => return,
            };
            match connected {
                Ok(stream) => {
                    let began = Instant::now();
                    let was_established = self.status().established;
                    let After::Again = self.converse(stream, None, &mut stop).await else { return };
                    if self.status().established > was_established && began.elapsed() > STEADY {
                        failures = 0;
                    }
                }
                Err(error) => {
                    let text = format!("cannot connect: {}", words(&error));
                    if failures == 0 {
                        info!("BGP-LS: {peer}: {text}; trying again");
                    }
                    self.status().end(Ended::Connect, text);
                }
            }
            self.status().enter(Phase::Idle);
            let delay = retry_delay(failures, RandomState::new().build_hasher().finish());
            failures = failures.saturating_add(1);
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = &mut stop => return,
            }
        }
    }

    async fn passive(self, listener: &TcpListener, mut stop: Stop) {
        let mut next = None;
        loop {
            let stream = match next.take() {
                Some(stream) => stream,
                None => {
                    self.status().enter(Phase::Active);
                    tokio::select! {
                        stream = self.accept(listener) => stream,
                        _ = &mut stop => return,
                    }
                }
            };
            match self.converse(stream, Some(listener), &mut stop).await {
                After::Again => {}
                After::On(stream) => next = Some(stream),
                After::Nothing => return,
            }
        }
    }

    /// The next connection of somebody who may connect.
    async fn accept(&self, listener: &TcpListener) -> TcpStream {
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    let address = transport::canonical(address);
                    let Side::Passive { from: Some(from), .. } = &self.settings.side else {
                        return stream;
                    };
                    if from.contains(&address.ip()) {
                        return stream;
                    }
                    self.status().end(Ended::Rejected, format!("{address} may not connect"));
                }
                // Too many open files, most likely: some will be closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Holds a session on a connection, and says what comes after it.
    async fn converse(
        &self,
        mut stream: TcpStream,
        listener: Option<&TcpListener>,
        stop: &mut Stop,
    ) -> After {
        // Small messages are to leave at once; a system that cannot do so is slower, and that is all.
        let _ = stream.set_nodelay(true);
        let peer = stream.peer_addr().map(transport::canonical);
        let (counters, tally) = {
            let mut status = self.status();
            status.peer = peer.as_ref().ok().copied().or(status.peer);
            (status.counters, status.tally.clone())
        };
        let name = peer.map_or("peer".into(), |peer| peer.to_string());
        let settings = self.settings.session.clone();
        let mut session = Session::new(settings, counters, tally, Instant::now());
        let (cause, after) = self.exchange(&mut session, &mut stream, listener, stop).await;
        let last_words = async {
            let _ = stream.write_all(session.pending()).await;
            let _ = stream.shutdown().await;
        };
        let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
        self.report(&session);
        let was_established = session.state() == State::Established;
        let (ended, text) = cause.describe();
        {
            let mut status = self.status();
            status.end(ended, text.clone());
            status.identifier = None;
            status.enter(Phase::Idle);
        }
        if was_established {
            warn!("BGP-LS session with {name} has ended: {text}");
            let resumes = match &cause {
                Cause::End(End::Received(notification)) => !notification.is_final(),
                _ => true,
            };
            if self.messages.send(Message::Down { resumes }).await.is_err() {
                return After::Nothing;
            }
        } else {
            info!("BGP-LS: no session with {name}: {text}");
        }
        after
    }

    async fn exchange(
        &self,
        session: &mut Session,
        stream: &mut TcpStream,
        listener: Option<&TcpListener>,
        stop: &mut Stop,
    ) -> (Cause, After) {
        let mut chunk = vec![0; CHUNK];
        loop {
            self.report(session);
            let deadline = session.deadline().map(tokio::time::Instant::from_std);
            let due = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let another = async {
                match listener {
                    Some(listener) => self.accept(listener).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                stop = &mut *stop => {
                    let subcode = stop.unwrap_or(cease::SHUTDOWN);
                    session.stop(Notification::cease(subcode), Instant::now());
                    return (Cause::Stopped, After::Nothing);
                }
                () = due => {
                    if let Err(end) = session.tick(Instant::now()) {
                        return (Cause::End(end), After::Again);
                    }
                }
                another = another => {
                    if let Some(another) = self.collision(session, another).await {
                        return (Cause::Replaced, After::On(another));
                    }
                }
                ready = stream.writable(), if !session.pending().is_empty() => {
                    match ready.and_then(|()| stream.try_write(session.pending())) {
                        Ok(count) => session.sent(count, Instant::now()),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return (Cause::Broken(error), After::Again),
                    }
                }
                ready = stream.readable() => {
                    let count = match ready.and_then(|()| stream.try_read(&mut chunk)) {
                        Ok(0) => return (Cause::Closed, After::Again),
                        Ok(count) => count,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                        Err(error) => return (Cause::Broken(error), After::Again),
                    };
                    let mut news = Vec::new();
                    let result =
                        session.received(&chunk[..count], Instant::now(), |one| news.push(one));
                    self.report(session);
                    if news.contains(&News::Established) {
                        let peer = self.status().peer;
                        info!("BGP-LS session with {} is up", peer.map_or("peer".into(), |peer| peer.to_string()));
                    }
                    // What was told before the session ended holds.
                    if !news.is_empty() && self.messages.send(Message::News(news)).await.is_err() {
                        session.stop(Notification::cease(cease::SHUTDOWN), Instant::now());
                        return (Cause::Stopped, After::Nothing);
                    }
                    if let Err(end) = result {
                        return (Cause::End(end), After::Again);
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Somebody connects while there is a session. It is the new connection that counts if the old
    /// one is not of use yet, or if the peer may have restarted without our knowing (RFC 4724,
    /// section 5); otherwise the old one (RFC 4271, section 6.8).
    async fn collision(&self, session: &Session, mut another: TcpStream) -> Option<TcpStream> {
        let established = session.state() == State::Established;
        let restarts = session.peer().is_some_and(|peer| peer.has_graceful_restart());
        if !established || restarts {
            return Some(another);
        }
        let text = "a second connection, while there is a session".to_owned();
        self.status().end(Ended::Rejected, text);
        let goodbye = Notification::cease(cease::COLLISION).encode();
        let _ = tokio::time::timeout(LAST_WORDS, another.write_all(&goodbye)).await;
        None
    }

    /// Has everybody see how the session is.
    fn report(&self, session: &Session) {
        let mut status = self.status();
        status.enter(Phase::Session(session.state()));
        status.counters = *session.counters();
        status.tally = session.tally().clone();
        status.identifier = session.peer().map(|peer| peer.identifier);
        status.hold_time = session.hold_time();
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a session has ended.
enum Cause {
    /// One side said so.
    End(End),
    /// The peer closed the connection.
    Closed,
    /// The connection broke.
    Broken(io::Error),
    /// The peer has connected anew.
    Replaced,
    /// We are to stop.
    Stopped,
}

impl Cause {
    fn describe(&self) -> (Ended, String) {
        match self {
            Self::End(End::Sent(notification)) if notification.code == code::HOLD_TIMER => {
                (Ended::HoldTimer, notification.to_string())
            }
            Self::End(End::Sent(notification)) => (Ended::Sent, format!("sent {notification}")),
            Self::End(End::Received(notification)) => {
                (Ended::Received, format!("received {notification}"))
            }
            Self::End(End::NotRead) => (Ended::NotRead, "the peer does not read".into()),
            Self::Closed => (Ended::Closed, "the peer closed the connection".into()),
            Self::Broken(error) => (Ended::Closed, words(error)),
            Self::Replaced => (Ended::Stopped, "the peer has connected anew".into()),
            Self::Stopped => (Ended::Stopped, "stopped".into()),
        }
    }
}
