//! Running a program with a time limit, and an error that shows what it said.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a configuration command may take before it is taken for stuck.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a program left behind.
#[derive(Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub line: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Finished {
    /// The output of a program that succeeded; otherwise an error with everything it said.
    pub fn success(self) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        bail!("`{}`: {}\n{}{}", self.line, self.status, self.stdout, self.stderr)
    }
}

/// Runs `command` to its end, feeding it `input`, and kills it after `limit`.
pub fn run_with(command: &mut Command, input: &str, limit: Duration) -> Result<Finished> {
    let line = describe(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    // Both pipes are drained while the program runs: a full pipe would stop it for ever.
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input may close the pipe early.
        let _ = stdin.write_all(input.as_bytes());
    }
    let status = wait(&mut child, limit)?;
    let finished = |status| Finished {
        line: line.clone(),
        status,
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
    };
    match status {
        Some(status) => Ok(finished(status)),
        None => {
            child.kill()?;
            let left = finished(child.wait()?);
            bail!("`{line}` still ran after {limit:?}\n{}{}", left.stdout, left.stderr)
        }
    }
}

/// Runs `command` to its end without input; a failure is an error that shows its output.
pub fn run(command: &mut Command, limit: Duration) -> Result<String> {
    run_with(command, "", limit)?.success()
}

/// Waits at most `limit` for `child`; `None` if it still runs.
pub fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// The command line as one would type it.
pub fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_shows_what_was_said() {
        let error = run(Command::new("sh").args(["-c", "echo oh; echo no >&2; exit 3"]), PATIENCE)
            .unwrap_err()
            .to_string();
        assert!(error.contains("oh\nno\n") && error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn stuck_program_is_ended() {
        let started = Instant::now();
        let error = run(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("still ran"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
