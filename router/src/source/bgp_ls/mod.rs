//! A BGP-LS session that only receives: what a peer tells of the topology (RFC 9552).
//!
//! ```text
//! peer --TCP--> [speaker] --linkstate::bgp::Session--> News --channel--> whoever holds the Feed
//! ```
//!
//! A task of its own keeps the session: it connects again after each end, or waits for the peer to.
//! The channel is short, so that a peer that floods is read only as fast as its news are taken.

mod speaker;
mod status;
mod transport;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use sidewinder_linkstate::bgp::notification::cease;
use sidewinder_linkstate::bgp::session::{self, News};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

pub use status::{Ended, Phase, Status};

/// Batches of news that may wait to be taken.
const WAITING: usize = 2;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(300);

/// Which side opens the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// We do.
    Active {
        /// The peer.
        peer: SocketAddr,
        /// Where we connect from.
        from: Option<std::net::IpAddr>,
    },
    /// The peer does.
    Passive {
        /// Where we listen.
        listen: SocketAddr,
        /// Who may connect; `None`: everybody.
        from: Option<IpNet>,
    },
}

/// What a session needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What both sides have to agree on.
    pub session: session::Settings,
    /// Which side connects.
    pub side: Side,
    /// A file with the key that both sides sign their segments with (RFC 2385).
    pub password_file: Option<PathBuf>,
}

/// What comes from a session.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// News, in the order they were told.
    News(Vec<News>),
    /// The session has ended.
    Down {
        /// Whether what it told may be told again soon; if not, it holds no longer.
        resumes: bool,
    },
}

/// A session that is kept up.
#[derive(Debug)]
pub struct Feed {
    messages: mpsc::Receiver<Message>,
    status: Arc<Mutex<Status>>,
    stop: Option<oneshot::Sender<u8>>,
    task: tokio::task::JoinHandle<()>,
    /// Where the peer connects to, if it does.
    listener: Option<Arc<TcpListener>>,
}

/// A session that can begin.
#[derive(Debug)]
pub struct Ready {
    settings: Settings,
    ground: speaker::Ground,
}

impl Ready {
    /// Does all that can fail, and leaves alone the session `before`, in whose place this one is
    /// to begin.
    ///
    /// # Errors
    ///
    /// The key cannot be read, or nobody can connect to where we are to listen.
    pub fn new(settings: Settings, before: Option<&Feed>) -> anyhow::Result<Self> {
        let before = before.and_then(|feed| feed.listener.as_deref());
        let ground = speaker::Ground::new(&settings, before)?;
        Ok(Self { settings, ground })
    }

    /// Begins to keep the session.
    pub fn start(self) -> Feed {
        let Self { settings, ground } = self;
        let status = Arc::new(Mutex::new(Status::new(&settings)));
        let (sender, messages) = mpsc::channel(WAITING);
        let (stop, stopped) = oneshot::channel();
        let listener = ground.listener.clone();
        let run = speaker::run(settings, ground, sender, Arc::clone(&status), stopped);
        Feed { messages, status, stop: Some(stop), task: tokio::spawn(run), listener }
    }
}

impl Feed {
    /// Begins to keep a session.
    ///
    /// # Errors
    ///
    /// As those of [`Ready::new`].
    pub fn start(settings: Settings) -> anyhow::Result<Self> {
        Ok(Ready::new(settings, None)?.start())
    }

    /// Waits for the next message. It may be dropped and called again.
    pub async fn next(&mut self) -> Message {
        match self.messages.recv().await {
            Some(message) => message,
            // The task ends after a stop only.
            None => std::future::pending().await,
        }
    }

    /// A message that waits to be taken.
    pub fn try_next(&mut self) -> Option<Message> {
        self.messages.try_recv().ok()
    }

    /// How the session is.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says goodbye to the peer: the daemon ends.
    pub async fn stop(self) {
        self.end(cease::SHUTDOWN).await;
    }

    /// Says goodbye to the peer: another session will follow, with other settings.
    pub async fn replace(self) {
        self.end(cease::CONFIGURATION).await;
    }

    async fn end(mut self, subcode: u8) {
        self.messages.close();
        if let Some(stop) = self.stop.take() {
            // A task that has ended needs no stop.
            let _ = stop.send(subcode);
        }
        let _ = tokio::time::timeout(GOODBYE, &mut self.task).await;
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether a session with these settings can begin, as far as that can be told in advance.
///
/// # Errors
///
/// The key cannot be read.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    password(settings).map(drop)
}

/// The key in a file: its first line.
fn password(settings: &Settings) -> anyhow::Result<Option<Vec<u8>>> {
    use anyhow::Context as _;
    use sidewinder_dataplane::port::tcp_md5::MAX_KEY;
    let Some(path) = &settings.password_file else { return Ok(None) };
    let text = std::fs::read(path)
        .with_context(|| format!("cannot read password-file {}", path.display()))?;
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let key = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    anyhow::ensure!(
        (1..=MAX_KEY).contains(&key.len()),
        "password-file {}: its first line has to have 1 to {MAX_KEY} bytes, and has {}",
        path.display(),
        key.len()
    );
    Ok(Some(key))
}

/// What an error of the system is called, without its number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests;
