//! Ctrl-C, SIGTERM and a closed terminal, as a request to end.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{process, thread};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// One Ctrl-C may arrive twice: from the terminal, and from `sudo` or `timeout` in between.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// Whether the user wants to leave.
#[derive(Debug, Clone)]
pub struct Stop {
    state: Arc<(Mutex<bool>, Condvar)>,
}

impl Stop {
    /// From now on the first signal asks to end, and a later one ends without cleaning up.
    pub fn on_signals() -> anyhow::Result<Self> {
        let stop = Self { state: Arc::default() };
        let theirs = stop.clone();
        let (ready, started) = mpsc::channel();
        thread::spawn(move || {
            if let Err(error) = listen(&theirs, &ready) {
                // Fails only if nobody waits any more.
                let _ = ready.send(Err(error));
            }
        });
        started.recv().context("the thread that waits for signals is gone")??;
        Ok(stop)
    }

    /// Whether a signal came.
    pub fn requested(&self) -> bool {
        *self.lock()
    }

    /// Waits, but no longer than until a signal comes. Returns whether one came.
    pub fn wait(&self, time: Duration) -> bool {
        let waited = self.state.1.wait_timeout_while(self.lock(), time, |requested| !*requested);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn request(&self) {
        *self.lock() = true;
        self.state.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Ready = mpsc::Sender<anyhow::Result<()>>;

fn listen(stop: &Stop, ready: &Ready) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let _ = ready.send(Ok(()));
        let mut first: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
            if first.get_or_insert_with(Instant::now).elapsed() > SAME_SIGNAL {
                // Whoever asks again does not want to wait. The routers die with this process, and
                // the next demo deletes the namespaces.
                process::exit(1);
            }
            stop.request();
        }
    })
}
