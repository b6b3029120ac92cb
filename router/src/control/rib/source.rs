//! Who says where a prefix leads.

/// A source of routes and SIDs. The order settles ties between equal distances and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Local SIDs of the configuration file.
    Sid,
    /// Addresses of our interfaces.
    Connected,
    /// The configuration file.
    Static,
    /// The kernel's routes.
    Kernel,
    /// The topology.
    LinkState,
    /// Neighbours that were found on our links.
    Neighbor,
}

impl Source {
    /// Every source, in order.
    pub const ALL: [Self; 6] =
        [Self::Sid, Self::Connected, Self::Static, Self::Kernel, Self::LinkState, Self::Neighbor];

    /// The administrative distance of what it says where it says nothing else, as in FRR: the
    /// lowest wins.
    pub const fn distance(self) -> u8 {
        match self {
            Self::Sid | Self::Connected | Self::Kernel => 0,
            Self::Static => 1,
            Self::LinkState => 115,
            // Whatever a source says of a single address was said on purpose.
            Self::Neighbor => 254,
        }
    }

    /// Its name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sid => "sid",
            Self::Connected => "connected",
            Self::Static => "static",
            Self::Kernel => "kernel",
            Self::LinkState => "link-state",
            Self::Neighbor => "neighbor",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_in_order() {
        for (index, source) in Source::ALL.into_iter().enumerate() {
            assert_eq!(source as usize, index, "{}", source.name());
        }
    }
}
