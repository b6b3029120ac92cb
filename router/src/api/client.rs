//! The other end of the control socket.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde::de::DeserializeOwned;

use serde_json::Value;

use super::{Request, Response};

/// Asks the daemon behind a control socket, and waits for its answer.
pub fn request(socket: &Path, request: &Request) -> anyhow::Result<Value> {
    let mut answers = Answers::ask(socket, request)?;
    answers.receive()?.context("the daemon hung up")
}

/// The same, where the answer is a list, which may be a long one.
pub fn list<T: DeserializeOwned>(socket: &Path, request: &Request) -> anyhow::Result<Vec<T>> {
    let mut answers = Answers::ask(socket, request)?;
    answers.read()?.context("the daemon hung up")
}

/// The answers to a request, one after the other.
#[derive(Debug)]
pub struct Answers {
    stream: BufReader<UnixStream>,
}

impl Answers {
    /// Asks the daemon behind a control socket.
    pub fn ask(socket: &Path, request: &Request) -> anyhow::Result<Self> {
        let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => anyhow!(
                "no sidewinder answers on {}: is it running? `--socket` picks another one",
                socket.display()
            ),
            ErrorKind::PermissionDenied => anyhow!(
                "you may not use {}: run this as root, or join the socket's group",
                socket.display()
            ),
            _ => anyhow!("cannot reach {}: {error}", socket.display()),
        })?;
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        stream.write_all(line.as_bytes()).context("the daemon hung up")?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Another hand on the connection, to say by `shutdown` that no more is wanted.
    pub fn connection(&self) -> anyhow::Result<UnixStream> {
        self.stream.get_ref().try_clone().context("too many open files: raise `ulimit -n`")
    }

    /// The next answer. `None`: the daemon hung up.
    pub fn receive(&mut self) -> anyhow::Result<Option<Value>> {
        self.read()
    }

    fn read<D: DeserializeOwned + Default>(&mut self) -> anyhow::Result<Option<D>> {
        let mut answer = String::new();
        if self.stream.read_line(&mut answer).context("the daemon hung up")? == 0 {
            return Ok(None);
        }
        let response: Response<D> =
            serde_json::from_str(&answer).context("the daemon's answer makes no sense")?;
        match response {
            Response { ok: true, data, .. } => Ok(Some(data.unwrap_or_default())),
            Response { error, .. } => bail!(error.unwrap_or_else(|| "the daemon refused".into())),
        }
    }
}
