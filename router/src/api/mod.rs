//! The control socket: one JSON request per line, one JSON answer per line.
//!
//! ```text
//! → {"command":"show","what":"sids"}
//! ← {"ok":true,"data":[…]}
//! → {"command":"reload"}
//! ← {"ok":false,"error":"…"}
//! → {"command":"trace","count":10,"timeout":60}
//! ← {"ok":true,"data":{"begun":{…}}}
//! ← {"ok":true,"data":{"packet":{…}}}
//! ← {"ok":true,"data":{"end":{…}}}
//! ```
//!
//! A trace is the one request with more than one answer. It is over when its client closes the
//! connection, or no longer writes to it (`shutdown`): then the end is still told.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::control::Difference;
use crate::source::link_state::Format;

pub mod client;
pub mod metrics;
pub mod routes;
pub mod show;
pub mod trace;

pub use metrics::Metrics;

/// How long to wait before the next connection is taken, where the system would not give one.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The longest request, in bytes.
const MAX_REQUEST: u64 = 4096;

/// What can be asked of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// Show a part of its state.
    Show {
        /// Which part.
        what: What,
    },
    /// The topology as a picture, in one string.
    Draw {
        /// How it is written.
        format: Format,
    },
    /// Read the configuration file again.
    Reload,
    /// Tell the way of the next packets that match.
    Trace(trace::Ask),
}

/// The parts of a daemon's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Interfaces: driver, XDP mode, zero-copy or copy, queues, packets.
    Interfaces,
    /// Workers: core, packets by fate, frames.
    Workers,
    /// Local SIDs with their behaviors and packets.
    Sids,
    /// Routes of every source, and which of them are used.
    Routes,
    /// Policies with their segment lists and packets.
    Policies,
    /// Rules that steer packets, and how many they steered.
    Rules,
    /// Neighbours that packets are sent to.
    Neighbors,
    /// Sources of routes and SIDs.
    Sources,
    /// The topology: nodes, and links with metric and load.
    Topology,
    /// Packets dropped or answered, by reason.
    Drops,
}

/// A request on its way to the control thread.
#[derive(Debug)]
pub struct Command {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<serde_json::Value, String>>,
    /// Where more goes, of a request that has more than one answer.
    pub listener: Option<trace::Listener>,
}

/// What a daemon answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Response<D = serde_json::Value> {
    /// Whether the request was carried out.
    pub ok: bool,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<D>,
    /// Why it was not carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A difference in words.
pub fn describe(difference: &Difference) -> String {
    let Difference { routes, sids, policies, rules, neighbors, topology, settings } = difference;
    let mut changed: Vec<String> = [
        (*routes, "route(s)"),
        (*sids, "SID(s)"),
        (*policies, "policy(s)"),
        (*rules, "rule(s)"),
        (*neighbors, "neighbor(s)"),
        (*topology, "node(s) and link(s)"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    if *settings {
        changed.push("settings".into());
    }
    match changed.is_empty() {
        true => "nothing changed".into(),
        false => format!("changed: {}", changed.join(", ")),
    }
}

/// A listening control socket; its file goes with it.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens on a control socket. Requests go to `commands`, and those for routes to `routes`.
pub fn serve(
    path: &Path,
    commands: mpsc::Sender<Command>,
    routes: mpsc::Sender<routes::Wanted>,
) -> anyhow::Result<Server> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        bail!(
            "another sidewinder answers on {}: stop it, or set another `socket` in [router]",
            path.display()
        );
    }
    // Left behind by a daemon that was killed.
    match fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => {
            fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?
        }
        Ok(_) => bail!(
            "{} is there and is no socket: set another `socket` in [router], or remove it",
            path.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at {}", path.display()));
        }
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    drop(tokio::spawn(converse(stream, commands.clone(), routes.clone())));
                }
                // Too many open files, most likely: some will be closed.
                Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
            }
        }
    });
    Ok(Server { path: path.to_owned() })
}

/// Answers one client's requests until it hangs up.
async fn converse(
    stream: UnixStream,
    commands: mpsc::Sender<Command>,
    routes: mpsc::Sender<routes::Wanted>,
) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        let mut limited = (&mut reader).take(MAX_REQUEST);
        match limited.read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let request = serde_json::from_str(&line).map_err(|error| format!("bad request: {error}"));
        let answer = match request {
            Ok(Request::Show { what: What::Routes }) => {
                match routes::tell(&mut writer, &routes).await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            }
            Ok(Request::Trace(ask)) => match listen(ask, &commands).await {
                Ok(tracing) => return follow(tracing, reader, writer).await,
                Err(error) => Err(error),
            },
            Ok(request) => self::request(request, None, &commands).await,
            Err(error) => Err(error),
        };
        if say(&mut writer, answer).await.is_err() {
            return;
        }
    }
}

/// Writes an answer.
async fn say(
    writer: &mut OwnedWriteHalf,
    answer: Result<serde_json::Value, String>,
) -> io::Result<()> {
    let response = match answer {
        Ok(data) => Response { ok: true, data: Some(data), error: None },
        Err(error) => Response { ok: false, data: None, error: Some(error) },
    };
    let mut text = serde_json::to_string(&response)?;
    text.push('\n');
    writer.write_all(text.as_bytes()).await
}

async fn request(
    request: Request,
    listener: Option<trace::Listener>,
    commands: &mpsc::Sender<Command>,
) -> Result<serde_json::Value, String> {
    let (reply, answer) = oneshot::channel();
    let stopping = |_| "the daemon is stopping".to_owned();
    let command = Command { request, reply, listener };
    commands.send(command).await.map_err(|_| stopping(()))?;
    answer.await.map_err(|_| stopping(()))?
}

/// A trace that has begun.
struct Following {
    listener: trace::Listener,
    messages: mpsc::Receiver<trace::Message>,
}

async fn listen(ask: trace::Ask, commands: &mpsc::Sender<Command>) -> Result<Following, String> {
    let (listener, messages) = trace::Listener::new();
    request(Request::Trace(ask), Some(listener.clone()), commands).await?;
    Ok(Following { listener, messages })
}

/// Tells a client of the packets it asked for, until the end.
async fn follow(
    tracing: Following,
    mut reader: BufReader<OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
) {
    let Following { listener, mut messages } = tracing;
    // The control thread must see by itself that this end is gone.
    let stop = listener.stopper();
    drop(listener);
    let mut listening = true;
    loop {
        let mut line = [0; 64];
        tokio::select! {
            message = messages.recv() => {
                let Some(message) = message else { return };
                let answer = serde_json::to_value(message).map_err(|error| error.to_string());
                if say(&mut writer, answer).await.is_err() {
                    return;
                }
            }
            // There is nothing more to be said, so that whatever comes is not listened to.
            count = reader.read(&mut line), if listening => {
                if matches!(count, Ok(0) | Err(_)) {
                    listening = false;
                    stop.stop();
                }
            }
        }
    }
}
