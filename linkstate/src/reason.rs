//! What is wrong with what a peer sends, and how often it was.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a part of an UPDATE was not taken as it is. One name everywhere: counters, command
        /// line, logs, metrics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// NLRI of an address family that is not BGP-LS: ignored.
    AddressFamily = "address-family-unexpected",
    /// AS_PATH holds our own AS number: routes of the UPDATE are withdrawn.
    AsLoop = "as-loop",
    /// AS_PATH is not a list of segments: routes of the UPDATE are withdrawn.
    AsPath = "as-path-invalid",
    /// An attribute that is there twice: the first counts.
    AttributeDuplicate = "attribute-duplicate",
    /// Flags that the attribute cannot have: routes of the UPDATE are withdrawn.
    AttributeFlags = "attribute-flags-invalid",
    /// An attribute longer or shorter than it can be.
    AttributeLength = "attribute-length-invalid",
    /// ORIGIN or AS_PATH is not there: routes of the UPDATE are withdrawn.
    AttributeMissing = "attribute-missing",
    /// Attributes run over the end of the list: routes of the UPDATE are withdrawn.
    AttributeOverrun = "attribute-overrun",
    /// A mandatory descriptor is not in the NLRI: the NLRI is discarded.
    DescriptorMissing = "descriptor-missing",
    /// A descriptor that its NLRI cannot have, or not as it is: the NLRI is discarded.
    DescriptorValue = "descriptor-invalid",
    /// A list in the BGP-LS attribute is longer than the limit: the rest is ignored.
    ListLimit = "list-limit",
    /// NLRI shorter than its fixed part: discarded.
    NlriTruncated = "nlri-truncated",
    /// NLRI of a type we do not know: ignored.
    NlriType = "nlri-type-unknown",
    /// ORIGIN has a value that is not there: routes of the UPDATE are withdrawn.
    Origin = "origin-invalid",
    /// The TED is as large as it may be: the NLRI is ignored.
    TedFull = "ted-full",
    /// A TLV that can be there once is there again: the first counts.
    TlvDuplicate = "tlv-duplicate",
    /// A TLV longer or shorter than it can be: ignored; in NLRI, the NLRI is discarded.
    TlvLength = "tlv-length-invalid",
    /// TLVs of NLRI not in ascending order: taken all the same.
    TlvOrder = "tlv-out-of-order",
    /// A TLV runs over the end of what holds it: the rest is ignored; in NLRI, the NLRI is
    /// discarded.
    TlvOverrun = "tlv-overrun",
    /// A TLV with a value that cannot be: ignored.
    TlvValue = "tlv-value-invalid",
    /// More in unknown TLVs than is kept: the rest is ignored.
    UnknownLimit = "unknown-tlv-limit",
    /// Something is withdrawn that was not there.
    WithdrawUnknown = "withdraw-unknown",
}

impl Reason {
    /// Whether it may have cost us something that the peer meant to tell, so that asking again may
    /// help.
    pub const fn loses(self) -> bool {
        use Reason::*;
        matches!(
            self,
            AsPath
                | AttributeFlags
                | AttributeLength
                | AttributeMissing
                | AttributeOverrun
                | DescriptorMissing
                | DescriptorValue
                | NlriTruncated
                | Origin
                | TlvLength
                | TlvOverrun
                | TlvValue
        )
    }

    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();
}

/// How often each reason was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally([u64; Reason::COUNT]);

impl Default for Tally {
    fn default() -> Self {
        Self([0; Reason::COUNT])
    }
}

impl Tally {
    /// Once more.
    pub fn count(&mut self, reason: Reason) {
        self.0[reason as usize] += 1;
    }

    /// How often it was.
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }

    /// How often something may have been [lost](Reason::loses).
    pub fn losses(&self) -> u64 {
        Reason::ALL.iter().filter(|reason| reason.loses()).map(|&reason| self.of(reason)).sum()
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those that were met.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.iter().map(|&reason| (reason, self.of(reason))).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_kebab_case() {
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::COUNT);
        let kebab = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(names.iter().all(|name| kebab(name)));
    }

    #[test]
    fn counts_by_reason() {
        let mut tally = Tally::default();
        tally.count(Reason::TlvOrder);
        tally.count(Reason::TlvOrder);
        assert_eq!(tally.iter().collect::<Vec<_>>(), [(Reason::TlvOrder, 2)]);
        assert_eq!(tally.total(), 2);
    }
}
