//! Threads with a network namespace each.

use std::io::Write as _;
use std::net::IpAddr;
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{geteuid, gettid};
use sidewinder_tests::skip::announce;
use tokio::time::timeout;

use crate::kernel::{Event, Kernel, View};

/// No change takes longer than this to be told: three attempts to resolve a neighbour and one
/// pause of the kernel before it tries again are eight seconds.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test in a new network namespace with a tokio runtime, or prints why not.
pub fn in_namespace(test: &'static str, body: impl AsyncFnOnce() + Send + 'static) {
    if !geteuid().is_root() {
        return announce(test, "needs root");
    }
    if Command::new("ip").arg("-V").output().is_err() {
        return announce(test, "needs `ip`");
    }
    let thread = std::thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            return announce(test, &format!("no network namespace to be had: {error}"));
        }
        ip("link set lo up");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(body());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` with these arguments, separated by blanks, in the namespace of this thread.
pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `ip` with many lines of commands at once.
pub fn ip_batch(commands: &str) {
    let mut batch = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    batch.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    assert!(batch.wait().unwrap().success());
}

/// The namespace of the other end of the link: a thread that runs `ip` there.
pub struct Peer {
    commands: Option<mpsc::Sender<String>>,
    done: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// A new namespace, linked to the one of this thread by the veth pair `near`-`far`, with fixed
    /// addresses: fe80::1, fc00::1, 10.0.0.1 and MAC 02:…:01 here, fe80::2, fc00::2, 10.0.0.2 and
    /// MAC 02:…:02 there.
    pub fn linked() -> Peer {
        let (commands, orders) = mpsc::channel::<String>();
        let (report, done) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            tell.send(gettid()).unwrap();
            for order in orders {
                ip(&order);
                report.send(()).unwrap();
            }
        });
        let namespace =
            format!("/proc/{}/task/{}/ns/net", std::process::id(), told.recv().unwrap());
        let peer = Peer { commands: Some(commands), done, thread: Some(thread) };
        ip(&format!(
            "link add near address 02:00:00:00:00:01 type veth \
             peer name far address 02:00:00:00:00:02 netns {namespace}"
        ));
        // Link-local addresses by hand, so that no test begins with a second or two of duplicate
        // address detection; the kernel solicits neighbours from them, and from nothing else.
        peer.ip("link set far addrgenmode none");
        peer.ip("address add fe80::2/64 dev far nodad");
        peer.ip("address add fc00::2/64 dev far nodad");
        peer.ip("address add 10.0.0.2/24 dev far");
        peer.ip("link set far up");
        ip("link set near addrgenmode none");
        ip("address add fe80::1/64 dev near nodad");
        ip("address add fc00::1/64 dev near nodad");
        ip("address add 10.0.0.1/24 dev near");
        ip("link set near up");
        peer
    }

    /// Runs `ip` there.
    pub fn ip(&self, arguments: &str) {
        self.commands.as_ref().unwrap().send(arguments.into()).unwrap();
        self.done.recv().expect("the command failed, see above");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.thread.take().unwrap().join();
    }
}

/// Waits until the view fulfils a condition; hands over all events until then.
pub async fn until(kernel: &mut Kernel, what: &str, is: impl Fn(&View) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    let waiting = async {
        while !is(kernel.view()) {
            events.extend(kernel.changed().await.unwrap());
        }
    };
    let ended = timeout(PATIENCE, waiting).await;
    assert!(ended.is_ok(), "never happened: {what}; the view: {:#?}", kernel.view());
    events
}

/// The index of a link, by name.
pub fn index(kernel: &Kernel, name: &str) -> u32 {
    kernel.view().link_named(name).unwrap_or_else(|| panic!("no link {name}")).index
}

/// The MAC address of a usable neighbour.
pub fn usable_mac(view: &View, link: u32, ip: &str) -> Option<[u8; 6]> {
    let ip: IpAddr = ip.parse().unwrap();
    view.neighbours.get(&(link, ip)).filter(|known| known.usable)?.mac
}
