//! Talking to the guest: a line of shell goes in on a serial port, its output comes out.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What the guest says once it listens.
const READY: &str = "@@READY";
/// What it says after each command, with the exit status.
const END: &str = "@@END ";

/// The guest's second serial port, which is QEMU's standard input and output.
#[derive(Debug)]
pub struct Console {
    input: ChildStdin,
    lines: Receiver<String>,
}

/// How a command in the guest ended.
#[derive(Debug)]
pub struct Answer {
    /// The exit status.
    pub status: i32,
    /// All that it printed, errors included.
    pub text: String,
}

impl Console {
    /// Takes QEMU's pipes.
    pub fn new(input: ChildStdin, output: ChildStdout) -> Self {
        let (tell, lines) = channel();
        // Ends with the pipe, and so with QEMU.
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.by_ref().take(1 << 24).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line);
                if tell.send(text.trim_end_matches(['\r', '\n']).to_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self { input, lines }
    }

    /// Waits until the guest has started.
    pub fn ready(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.line(deadline)? != READY {}
        Ok(())
    }

    /// Has the guest run a line of shell.
    pub fn ask(&mut self, line: &str, limit: Duration) -> Result<Answer> {
        let deadline = Instant::now() + limit;
        writeln!(self.input, "{line}").context("the virtual machine has ended")?;
        self.input.flush()?;
        let mut text = String::new();
        loop {
            let said =
                self.line(deadline).with_context(|| format!("`{line}` in the guest:\n{text}"))?;
            // A program may have left its last line open.
            if let Some((rest, status)) = said.rsplit_once(END) {
                text.push_str(rest);
                let status =
                    status.parse().with_context(|| format!("`{said}` is no exit status"))?;
                return Ok(Answer { status, text });
            }
            text.push_str(&said);
            text.push('\n');
        }
    }

    fn line(&self, deadline: Instant) -> Result<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => bail!("the guest does not answer"),
            Err(RecvTimeoutError::Disconnected) => bail!("the virtual machine has ended"),
        }
    }
}
