//! How a route stands.

use std::fmt;

/// Why a route is in the FIB, or why it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It is the best, and workers use it.
    Best,
    /// It is the best, and says that the kernel is to forward: workers give its packets to the
    /// host, where the steer program has not done so before.
    LeftToKernel,
    /// It is the best, and none of its next hops is on an interface of ours, nor does a route
    /// lead to one.
    NextHopUnresolved,
    /// It is the best, and workers use the one before it until its neighbour answers.
    NeighborAwaited,
    /// It is the best, and its interface is not one of ours.
    InterfaceUnknown,
    /// It is the best, and there is no policy of that name.
    PolicyUnknown,
    /// It is the best, and nodes that its policy names are not in the topology.
    PolicyUnresolved,
    /// There is a route with a lower administrative distance.
    WorseDistance,
    /// There is a route with the same distance and a lower metric, or with a lower metric from the
    /// same source.
    WorseMetric,
    /// There is a route with the same distance and metric, from a source that goes first.
    WorseSource,
}

impl Standing {
    /// The word for it in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::LeftToKernel => "left-to-kernel",
            Self::NextHopUnresolved => "next-hop-unresolved",
            Self::NeighborAwaited => "neighbor-awaited",
            Self::InterfaceUnknown => "interface-unknown",
            Self::PolicyUnknown => "policy-unknown",
            Self::PolicyUnresolved => "policy-unresolved",
            Self::WorseDistance => "worse-distance",
            Self::WorseMetric => "worse-metric",
            Self::WorseSource => "worse-source",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
