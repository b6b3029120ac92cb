//! What can go wrong when a port is opened, in sentences that say what to do.

use std::error::Error as StdError;
use std::{fmt, fs, io};

/// Why packet memory, a socket or the XDP program could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// EPERM: a capability is missing, or something else forbids it.
    #[error("{0}")]
    NotPermitted(Permission),

    /// ENODEV: there is no interface of this name in this network namespace.
    #[error("there is no interface {interface:?} here: `ip link` lists the interfaces there are")]
    NoSuchInterface {
        /// Name of the interface.
        interface: String,
    },

    /// The interface has fewer queues.
    #[error(
        "{interface} has no queue {queue}: it has {queues}, counted from 0 \
         (`ethtool -L {interface}` changes that, `queues` in the configuration says how many to use)"
    )]
    NoSuchQueue {
        /// Name of the interface.
        interface: String,
        /// The queue that was asked for, counted from 0.
        queue: u32,
        /// Queues that the interface has.
        queues: u32,
    },

    /// ENETDOWN: the interface is not up.
    #[error("{interface} is down: bring it up with `ip link set dev {interface} up`")]
    InterfaceDown {
        /// Name of the interface.
        interface: String,
    },

    /// EBUSY: somebody else's AF_XDP socket has the queue.
    #[error(
        "queue {queue} of {interface} is in use by another AF_XDP socket: perhaps another sidewinder \
         runs on this interface; stop that, or give each its own interface"
    )]
    QueueBusy {
        /// Name of the interface.
        interface: String,
        /// The queue, counted from 0.
        queue: u32,
    },

    /// Zero-copy is required, and the driver does not grant it.
    #[error(
        "{interface} does not grant zero-copy (driver {driver}: {reason}): set zero-copy = \"prefer\" \
         to run with copies, or use an interface whose driver has AF_XDP zero-copy"
    )]
    ZeroCopyRefused {
        /// Name of the interface.
        interface: String,
        /// The interface's driver.
        driver: String,
        /// What the kernel said.
        reason: String,
    },

    /// One worker's interfaces are to be both with and without zero-copy.
    #[error(
        "{with} requires zero-copy and {without} forbids it: the interfaces of a worker share packet \
         memory, which is with zero-copy for all of them or for none; set zero-copy = \"prefer\" on both"
    )]
    MixedZeroCopy {
        /// An interface that requires zero-copy.
        with: String,
        /// An interface that forbids it.
        without: String,
    },

    /// ENOMEM or ENOBUFS: the memory is not there, or must not be locked.
    #[error(
        "{} MiB of packet memory could not be locked: raise the limit (`ulimit -l unlimited`, or \
         LimitMEMLOCK=infinity in the systemd unit), give the process CAP_IPC_LOCK, or serve fewer \
         queues",
        bytes.div_ceil(1 << 20)
    )]
    LockedMemory {
        /// Bytes that were asked for.
        bytes: usize,
        /// What the kernel said.
        source: io::Error,
    },

    /// The kernel is built without AF_XDP.
    #[error("this kernel has no AF_XDP: it needs CONFIG_XDP_SOCKETS, and Linux 5.18 or later")]
    NoAfXdp,

    /// A UMEM without frames, or a socket on private memory: the caller's mistake.
    #[error("packet memory without frames, or memory that was not made for AF_XDP sockets")]
    NoFrames,

    /// EBUSY or EEXIST: the interface has an XDP program already.
    #[error(
        "{interface} has an XDP program attached already: perhaps another sidewinder runs on this \
         interface; `ip link show dev {interface}` shows the program, and \
         `ip link set dev {interface} xdp off` removes one that was left behind"
    )]
    ProgramAttached {
        /// Name of the interface.
        interface: String,
    },

    /// The kernel or the driver refused the XDP program.
    #[error("the XDP program could not be {doing} {interface}: {reason}")]
    Program {
        /// Name of the interface.
        interface: String,
        /// "loaded for" or "attached to".
        doing: &'static str,
        /// What was said about it, the verifier's words included.
        reason: String,
    },

    /// One of the XDP program's maps did not take an entry.
    #[error("the XDP program's map `{map}` could not be changed: {source}")]
    Map {
        /// Name of the map.
        map: &'static str,
        /// What the kernel said.
        source: Box<aya::maps::MapError>,
    },

    /// Any other system call.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Something was not permitted, and why, as far as can be told.
#[derive(Debug)]
pub struct Permission {
    what: String,
    missing: Vec<&'static str>,
}

impl Permission {
    /// For AF_XDP sockets and their memory.
    pub(super) fn socket(what: impl Into<String>) -> Self {
        Self::of(what, &[Capability::NetRaw, Capability::NetAdmin])
    }

    /// For XDP programs and their maps.
    pub(super) fn program(what: impl Into<String>) -> Self {
        Self::of(what, &[Capability::NetAdmin, Capability::Bpf])
    }

    /// For network devices.
    pub(crate) fn device(what: impl Into<String>) -> Self {
        Self::of(what, &[Capability::NetAdmin])
    }

    /// Whether a capability is missing; else something else forbids it.
    pub(super) fn is_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    fn of(what: impl Into<String>, needed: &[Capability]) -> Self {
        Self { what: what.into(), missing: missing(needed, &own_status()) }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not permitted: ", self.what)?;
        if self.missing.is_empty() {
            return f.write_str(
                "this process has the capabilities for it, so a container, user namespace, seccomp \
                 filter or security module forbids it",
            );
        }
        let all = self.missing.join(" and ");
        write!(
            f,
            "this process lacks {all}; run it as root, or with AmbientCapabilities={} in its \
             systemd unit",
            self.missing.join(" ")
        )
    }
}

/// Capabilities of this project's needs, with their numbers in linux/capability.h.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Capability {
    NetAdmin = 12,
    NetRaw = 13,
    SysAdmin = 21,
    Bpf = 39,
}

impl Capability {
    fn name(self) -> &'static str {
        match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Bpf => "CAP_BPF",
        }
    }
}

fn own_status() -> String {
    fs::read_to_string("/proc/thread-self/status").unwrap_or_default()
}

/// Those of `needed` that a process with this /proc/PID/status has not.
fn missing(needed: &[Capability], status: &str) -> Vec<&'static str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let Some(effective) = effective else { return Vec::new() };
    let has = |capability: Capability| effective >> (capability as u32) & 1 == 1;
    needed
        .iter()
        .filter(|&&capability| {
            // CAP_SYS_ADMIN, which was there before CAP_BPF, implies it.
            !(has(capability) || capability == Capability::Bpf && has(Capability::SysAdmin))
        })
        .map(|capability| capability.name())
        .collect()
}

/// The system's error that is behind `error`, however deep.
pub(super) fn io_cause(error: &(dyn StdError + 'static)) -> io::Error {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if let Some(code) = code {
            return io::Error::from_raw_os_error(code);
        }
        cause = error.source();
    }
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "Name:\tx\nCapEff:\t000001fffeffffff\nCapBnd:\t000001fffeffffff\n";
    const NOBODY: &str = "Name:\tx\nCapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n";

    #[test]
    fn missing_capabilities_are_named() {
        let all = [Capability::NetAdmin, Capability::NetRaw, Capability::Bpf];
        assert!(missing(&all, ROOT).is_empty());
        assert_eq!(missing(&all, NOBODY), ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"]);
        assert_eq!(missing(&all, "CapEff:\t0000000000201000"), ["CAP_NET_RAW"]);
        assert!(missing(&all, "no such line").is_empty());
    }

    #[test]
    fn permission_says_what_to_do() {
        let lacks = Permission { what: "x".into(), missing: vec!["CAP_NET_RAW", "CAP_BPF"] };
        assert_eq!(
            lacks.to_string(),
            "x is not permitted: this process lacks CAP_NET_RAW and CAP_BPF; run it as root, or \
             with AmbientCapabilities=CAP_NET_RAW CAP_BPF in its systemd unit"
        );
        let other = Permission { what: "x".into(), missing: vec![] };
        assert!(other.to_string().contains("container"), "{other}");
    }

    #[test]
    fn the_cause_is_found() {
        let inner = io::Error::from_raw_os_error(libc::EBUSY);
        let outer = Error::System { doing: "x".into(), source: inner };
        assert_eq!(io_cause(&outer).raw_os_error(), Some(libc::EBUSY));
        assert_eq!(io_cause(&Error::NoAfXdp).raw_os_error(), None);
    }
}
