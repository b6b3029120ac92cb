//! The control socket: one JSON request per line, one JSON answer per line.
//!
//! ```text
//! → {"command":"show","what":"sids"}
//! ← {"ok":true,"data":[…]}
//! → {"command":"reload"}
//! ← {"ok":false,"error":"…"}
//! ```

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::control::Difference;
use crate::source::link_state::Format;

pub mod client;
pub mod metrics;
pub mod show;

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
}

/// What a daemon answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Response {
    /// Whether the request was carried out.
    pub ok: bool,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
    /// Why it was not carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A difference in words.
pub fn describe(difference: &Difference) -> String {
    let Difference { routes, sids, policies, neighbors, topology, settings } = difference;
    let mut changed: Vec<String> = [
        (*routes, "route(s)"),
        (*sids, "SID(s)"),
        (*policies, "policy(s)"),
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

/// Listens on a control socket. Requests go to `commands`.
pub fn serve(path: &Path, commands: mpsc::Sender<Command>) -> anyhow::Result<Server> {
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
                Ok((stream, _)) => drop(tokio::spawn(converse(stream, commands.clone()))),
                // Too many open files, most likely: some will be closed.
                Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
            }
        }
    });
    Ok(Server { path: path.to_owned() })
}

/// Answers one client's requests until it hangs up.
async fn converse(stream: UnixStream, commands: mpsc::Sender<Command>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        let mut limited = (&mut reader).take(MAX_REQUEST);
        match limited.read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let response = match answer(&line, &commands).await {
            Ok(data) => Response { ok: true, data: Some(data), error: None },
            Err(error) => Response { ok: false, data: None, error: Some(error) },
        };
        let Ok(mut text) = serde_json::to_string(&response) else { return };
        text.push('\n');
        if writer.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn answer(line: &str, commands: &mpsc::Sender<Command>) -> Result<serde_json::Value, String> {
    let request = serde_json::from_str(line).map_err(|error| format!("bad request: {error}"))?;
    let (reply, answer) = oneshot::channel();
    let stopping = |_| "the daemon is stopping".to_owned();
    commands.send(Command { request, reply }).await.map_err(|_| stopping(()))?;
    answer.await.map_err(|_| stopping(()))?
}
