//! What a configuration file says, once it has been checked.
//!
//! Everything here is plain data that compares with `==`, and lists keep the order of the file, so
//! that a reload can tell what changed. Names and addresses that refer to another part of the file
//! (an interface, a policy) are known to exist.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::Ipv6Net;

use crate::mac::MacAddr;

mod hmac;
mod link_state;
mod policy;
mod route;
mod rule;
mod sid;

pub use hmac::{HmacKey, Secret};
pub use link_state::{BgpLsSource, BgpSession, Link, Node, RouterId};
pub use policy::{CandidatePath, Color, Policy, SegmentList};
pub use route::{NextHop, Route, RouteAction};
pub use rule::{Rule, RuleAction, RuleScope};
pub use sid::{Behavior, Flavors, LocalSid, Locator, Structure};

/// A whole configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[router]`
    pub router: Router,
    /// `[[interface]]`; at least one, names are unique.
    pub interfaces: Vec<Interface>,
    /// `[[locator]]`; names are unique, prefixes do not overlap.
    pub locators: Vec<Locator>,
    /// `[[sid]]`; prefixes are unique.
    pub sids: Vec<LocalSid>,
    /// `[[policy]]`; names are unique.
    pub policies: Vec<Policy>,
    /// `[[route]]`; (table, prefix) is unique.
    pub routes: Vec<Route>,
    /// `[[rule]]`, in the order in which they are tried.
    pub rules: Vec<Rule>,
    /// `[[neighbor]]`; (address, interface) is unique.
    pub neighbors: Vec<Neighbor>,
    /// `[source.*]`
    pub sources: Sources,
    /// `[[node]]`; names and router IDs are unique. If there are any, one has the router's name.
    pub nodes: Vec<Node>,
    /// `[[link]]`; both ends are nodes.
    pub links: Vec<Link>,
    /// `[[key]]` of the file that `hmac-keys` names; IDs are unique.
    pub hmac_keys: Vec<HmacKey>,
}

/// `[router]`: what holds for the whole daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// What the router calls itself in output and metrics. Default: [`Router::DEFAULT_NAME`].
    pub name: String,
    /// CPU numbers to pin workers to, one worker each; empty: one worker, not pinned.
    pub cores: Vec<usize>,
    /// Outer source address of H.Encaps, for policies that do not name their own.
    pub encap_source: Option<Ipv6Addr>,
    /// Hop Limit of the outer header, 1 to 255.
    pub encap_hop_limit: u8,
    /// Where the outer Flow Label comes from.
    pub encap_flow_label: FlowLabel,
    /// Traffic Class of the outer header; `None`: the inner packet's.
    pub encap_traffic_class: Option<u8>,
    /// Sources that packets to our SIDs may have; empty: any (RFC 8754, 5.1).
    pub sid_sources: Vec<Ipv6Net>,
    /// Source of ICMPv6 errors, already defaulted to `encap_source`; `None`: neither is set, and an
    /// address of the interface is to be used.
    pub icmp_source: Option<Ipv6Addr>,
    /// ICMP errors per second at most; 0: no limit.
    pub icmp_rate: u32,
    /// What is done about the O-flag of packets for local SIDs.
    pub o_flag: OFlag,
    /// How workers wait for packets.
    pub poll: Poll,
    /// Path of the control socket.
    pub socket: PathBuf,
    /// Where the OpenMetrics page listens, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// The file with the keys of HMAC TLVs, as the file gives it.
    pub hmac_keys: Option<PathBuf>,
}

impl Router {
    /// Value of `name` where the file gives none.
    pub const DEFAULT_NAME: &str = "sidewinder";
    /// Value of `socket` where the file gives none.
    pub const DEFAULT_SOCKET: &str = "/run/sidewinder/sidewinder.sock";
}

impl Default for Router {
    fn default() -> Self {
        Self {
            name: Self::DEFAULT_NAME.to_owned(),
            cores: Vec::new(),
            encap_source: None,
            encap_hop_limit: 64,
            encap_flow_label: FlowLabel::default(),
            encap_traffic_class: None,
            sid_sources: Vec::new(),
            icmp_source: None,
            icmp_rate: 100,
            o_flag: OFlag::default(),
            poll: Poll::default(),
            socket: PathBuf::from(Self::DEFAULT_SOCKET),
            metrics: None,
            hmac_keys: None,
        }
    }
}

/// `[[interface]]`: a network interface that workers receive from and send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's name of it, 1 to 15 bytes.
    pub name: String,
    /// Whether AF_XDP zero-copy mode is asked for.
    pub zero_copy: ZeroCopy,
    /// Which receive queues to serve.
    pub queues: Queues,
    /// What to take from the kernel.
    pub steer: Steer,
    /// Whether packets from here may be addressed to our SIDs (RFC 8754, 5.1).
    pub domain: Domain,
    /// Whether packets to SIDs of 5f00::/16 may leave here, though it leads out of the domain (RFC 9602).
    pub let_sids_out: bool,
    /// Which sources packets from here may have (RFC 3704; RFC 8754, 7).
    pub source_check: SourceCheck,
    /// Table that packets from here are looked up in.
    pub table: Table,
    /// Policy that everything from here is steered into: frames by one of H.Encaps.L2 or
    /// H.Encaps.L2.Red, otherwise packets.
    pub policy: Option<String>,
}

impl Interface {
    /// An interface with default settings.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            zero_copy: ZeroCopy::default(),
            queues: Queues::default(),
            steer: Steer::default(),
            domain: Domain::default(),
            let_sids_out: false,
            source_check: SourceCheck::default(),
            table: Table::default(),
            policy: None,
        }
    }
}

/// `[[neighbor]]`: a neighbour's MAC address, given by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// The neighbour.
    pub address: IpAddr,
    /// Where it is.
    pub interface: String,
    /// Its unicast MAC address.
    pub mac: MacAddr,
}

/// `[source.*]`: where routes come from besides the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `[source.kernel]`
    pub kernel: Option<KernelSource>,
    /// `[source.bgp-ls]`
    pub bgp_ls: Option<BgpLsSource>,
}

/// `[source.kernel]`: mirror the kernel's routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSource {
    /// Tables to mirror; at least one, each once. Default: the main table.
    pub tables: Vec<Table>,
}

/// A routing table (VRF), numbered as in Linux; never 0. Displays as `main`, or its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub u32);

impl Table {
    /// `default`, 253.
    pub const DEFAULT: Self = Self(253);
    /// `main`, 254: the table used where none is named.
    pub const MAIN: Self = Self(254);
    /// `local`, 255.
    pub const LOCAL: Self = Self(255);

    /// The names a file may use, in the order of their numbers.
    pub(crate) const NAMES: [(&str, Self); 3] =
        [("default", Self::DEFAULT), ("main", Self::MAIN), ("local", Self::LOCAL)];
}

/// The main table.
impl Default for Table {
    fn default() -> Self {
        Self::MAIN
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(_, table)| table == self) {
            Some((name, _)) => f.pad(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Which receive queues of an interface are served. Displays as `all`, or their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Queues {
    /// All that the interface has.
    #[default]
    All,
    /// The first so many; at least 1.
    Count(u32),
}

impl fmt::Display for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.pad("all"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

/// An enum whose variants are words in the file: the words stand here only, and `Display`,
/// parsing and error messages all use them.
macro_rules! words {
    (
        $(#[$doc:meta])* $name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every variant as the file spells it.
            pub(crate) const WORDS: &[(&str, Self)] = &[$(($word, Self::$variant)),+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word,)+ })
            }
        }
    };
}

words! {
    /// A headend behavior (RFC 8986, section 5). Displays as the RFC spells it.
    Headend {
        /// `H.Encaps` (5.1): outer IPv6 header and an SRH with every segment.
        #[default]
        HEncaps = "H.Encaps",
        /// `H.Encaps.Red` (5.2): the first segment is left out of the SRH, and with one segment
        /// there is no SRH.
        HEncapsRed = "H.Encaps.Red",
        /// `H.Insert` (draft-filsfils-spring-srv6-net-pgm-insertion, 4.1): an SRH in the packet itself.
        HInsert = "H.Insert",
        /// `H.Encaps.L2` (5.3): as `H.Encaps`, of Ethernet frames.
        HEncapsL2 = "H.Encaps.L2",
        /// `H.Encaps.L2.Red` (5.4): as `H.Encaps.Red`, of Ethernet frames.
        HEncapsL2Red = "H.Encaps.L2.Red",
    }
}

words! {
    /// Where the outer Flow Label of an encapsulated packet comes from.
    FlowLabel {
        /// A hash of the inner packet (RFC 8754, 5.5; RFC 6438).
        #[default]
        Hash = "hash",
        /// The inner packet's.
        Copy = "copy",
        /// Always 0.
        Zero = "zero",
    }
}

words! {
    /// What is done about the O-flag of packets for local SIDs (RFC 9259, 2.1).
    OFlag {
        /// Nothing.
        #[default]
        Ignore = "ignore",
        /// A copy is kept, with the time.
        Copy = "copy",
    }
}

words! {
    /// What a SID asks of packets' HMAC TLVs (RFC 8754, 2.1.2).
    Hmac {
        /// Nothing.
        #[default]
        Ignore = "ignore",
        /// An HMAC that there is has to be right.
        VerifyIfPresent = "verify-if-present",
        /// There is an HMAC, and it is right.
        Require = "require",
    }
}

words! {
    /// What an HMAC is computed of, and how a packet says that it has one.
    HmacForm {
        /// As RFC 8754, 2.1.2.1, has it.
        #[default]
        Rfc8754 = "rfc8754",
        /// As Linux has it.
        Linux = "linux",
    }
}

words! {
    /// How workers wait for packets.
    Poll {
        /// Poll while packets come, sleep in the kernel when they do not.
        #[default]
        Adaptive = "adaptive",
        /// Poll always; the core is never idle.
        Busy = "busy",
    }
}

words! {
    /// Whether AF_XDP zero-copy mode is asked for.
    ZeroCopy {
        /// Zero-copy, or the interface is not used.
        Require = "require",
        /// Zero-copy where the driver has it, else copy.
        #[default]
        Prefer = "prefer",
        /// Copy.
        Never = "never",
    }
}

words! {
    /// What is taken from the kernel on an interface.
    Steer {
        /// Everything that is to be routed.
        #[default]
        All = "all",
        /// Only packets to local SIDs and to steered prefixes.
        Sids = "sids",
    }
}

words! {
    /// Which side of the SR domain's border an interface is on (RFC 8754, 5.1).
    Domain {
        /// Inside: packets to our SIDs are welcome.
        #[default]
        Internal = "internal",
        /// Outside: packets to our SID block are dropped.
        External = "external",
    }
}

words! {
    /// Which sources packets may have that come in by an interface (RFC 3704; RFC 8754, 7).
    SourceCheck {
        /// Any.
        #[default]
        Off = "off",
        /// None that is a SID or one of `sid-sources`. The default where an interface is external.
        Domain = "domain",
        /// Those that a route leads to.
        Loose = "loose",
        /// Those that a route leads to by the interface itself.
        Strict = "strict",
    }
}

impl Headend {
    /// Bytes that `segments` segments add to a packet.
    pub fn overhead(self, segments: usize) -> usize {
        const IPV6_HEADER: usize = 40;
        const SRH_FIXED: usize = 8;
        const SEGMENT: usize = 16;
        match self {
            Self::HEncaps | Self::HEncapsL2 => IPV6_HEADER + SRH_FIXED + SEGMENT * segments,
            Self::HInsert => SRH_FIXED + SEGMENT * (segments + 1),
            Self::HEncapsRed | Self::HEncapsL2Red if segments <= 1 => IPV6_HEADER,
            Self::HEncapsRed | Self::HEncapsL2Red => {
                IPV6_HEADER + SRH_FIXED + SEGMENT * (segments - 1)
            }
        }
    }

    /// The same with an HMAC TLV. An SRH with one segment stays whole then (RFC 8754, erratum 7081).
    pub fn signed_overhead(self, segments: usize) -> usize {
        const HMAC_TLV: usize = 40;
        let all = if segments <= 1 { Self::HEncaps } else { self };
        all.overhead(segments) + HMAC_TLV
    }
}

impl Config {
    /// The interface of this name.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }

    /// The policy of this name.
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.name == name)
    }
}
