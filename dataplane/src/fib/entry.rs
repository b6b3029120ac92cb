//! What a prefix leads to.

/// Index of a routing table in a [`Fib`](super::Fib); not the number the kernel knows it by.
pub type TableIndex = u16;
/// Index of a next-hop group.
pub type GroupId = u32;
/// Index of a local SID.
pub type SidId = u32;
/// Index of a policy.
pub type PolicyId = u32;
/// Index of an adjacency.
pub type AdjacencyId = u32;
/// Index of a port, the same in every worker.
pub type PortIndex = u16;

/// What a prefix leads to, in [`BITS`](Self::BITS) bits: a kind, and an index into the table of
/// that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry(u32);

/// An [`Entry`], taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// No prefix covers the address.
    NoRoute,
    /// To a next-hop group.
    Forward(GroupId),
    /// A SID of ours.
    Local(SidId),
    /// Steered into a policy.
    Encap(PolicyId),
    /// For the host: an address of its own, or a neighbour that only the kernel can find.
    Punt(Punted),
    /// To nobody.
    Discard(Discard),
}

/// Why a prefix belongs to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Punted {
    /// An address of the host.
    Host,
    /// On a link of ours, without a known neighbour, in a prefix of the kernel's: it finds the
    /// neighbour and sends the packet.
    OnLink,
    /// On the link of this port, without a known neighbour, in a prefix that only we know: the
    /// control thread has the neighbour looked for.
    Solicit(PortIndex),
}

/// What a prefix that leads nowhere says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// Nothing.
    Blackhole,
    /// Destination Unreachable, no route (RFC 4443, section 3.1, code 0).
    Unreachable,
    /// Destination Unreachable, administratively prohibited (code 1).
    Prohibit,
}

const INDEX_BITS: u32 = 22;
const KIND_FORWARD: u32 = 1;
const KIND_LOCAL: u32 = 2;
const KIND_ENCAP: u32 = 3;
const KIND_PUNT: u32 = 4;
const KIND_DISCARD: u32 = 5;
const KIND_SOLICIT: u32 = 6;
// 7 is the look-up's own: see `node::Word`.

impl Entry {
    /// Bits an entry takes.
    pub const BITS: u32 = INDEX_BITS + 3;
    /// The largest index an entry holds.
    pub const MAX_INDEX: u32 = (1 << INDEX_BITS) - 1;
    /// No prefix.
    pub const NONE: Self = Self(0);
    /// An address of the host, or what is given to it.
    pub const HOST: Self = Self::pack(KIND_PUNT, 0);
    /// Left to the kernel, which has a route of its own: to the host as well, and the way that it
    /// goes on from there is not known here.
    pub const LEFT: Self = Self::pack(KIND_PUNT, 2);
    /// A link whose neighbours are found by the kernel.
    pub const ON_LINK: Self = Self::pack(KIND_PUNT, 1);

    const fn pack(kind: u32, index: u32) -> Self {
        Self(kind << INDEX_BITS | index & Self::MAX_INDEX)
    }

    /// To a next-hop group.
    pub const fn forward(group: GroupId) -> Self {
        Self::pack(KIND_FORWARD, group)
    }

    /// A SID of ours.
    pub const fn local(sid: SidId) -> Self {
        Self::pack(KIND_LOCAL, sid)
    }

    /// Steered into a policy.
    pub const fn encap(policy: PolicyId) -> Self {
        Self::pack(KIND_ENCAP, policy)
    }

    /// A link whose neighbours are looked for by the control thread.
    pub const fn solicit(port: PortIndex) -> Self {
        Self::pack(KIND_SOLICIT, port as u32)
    }

    /// To nobody.
    pub const fn discard(discard: Discard) -> Self {
        Self::pack(KIND_DISCARD, discard as u32)
    }

    /// The entry as a number below `1 << BITS`.
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The next-hop group, where the entry leads to one: what most packets ask.
    #[inline(always)]
    pub const fn as_forward(self) -> Option<GroupId> {
        if self.0 >> INDEX_BITS == KIND_FORWARD { Some(self.0 & Self::MAX_INDEX) } else { None }
    }

    /// The policy, where the entry leads into one.
    #[inline(always)]
    pub const fn as_encap(self) -> Option<PolicyId> {
        if self.0 >> INDEX_BITS == KIND_ENCAP { Some(self.0 & Self::MAX_INDEX) } else { None }
    }

    /// What the entry says.
    #[inline(always)]
    pub const fn action(self) -> Action {
        let index = self.0 & Self::MAX_INDEX;
        match self.0 >> INDEX_BITS {
            KIND_FORWARD => Action::Forward(index),
            KIND_LOCAL => Action::Local(index),
            KIND_ENCAP => Action::Encap(index),
            KIND_PUNT if index == 1 => Action::Punt(Punted::OnLink),
            KIND_PUNT => Action::Punt(Punted::Host),
            KIND_SOLICIT => Action::Punt(Punted::Solicit(index as PortIndex)),
            KIND_DISCARD if index == Discard::Blackhole as u32 => {
                Action::Discard(Discard::Blackhole)
            }
            KIND_DISCARD if index == Discard::Prohibit as u32 => Action::Discard(Discard::Prohibit),
            KIND_DISCARD => Action::Discard(Discard::Unreachable),
            _ => Action::NoRoute,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        assert_eq!(Entry::NONE.action(), Action::NoRoute);
        assert_eq!(Entry::forward(Entry::MAX_INDEX).action(), Action::Forward(Entry::MAX_INDEX));
        assert_eq!(Entry::local(3).action(), Action::Local(3));
        assert_eq!(Entry::encap(0).action(), Action::Encap(0));
        assert_eq!(Entry::HOST.action(), Action::Punt(Punted::Host));
        assert_eq!(Entry::LEFT.action(), Action::Punt(Punted::Host));
        assert_eq!(Entry::ON_LINK.action(), Action::Punt(Punted::OnLink));
        assert_eq!(Entry::solicit(7).action(), Action::Punt(Punted::Solicit(7)));
        for discard in [Discard::Blackhole, Discard::Unreachable, Discard::Prohibit] {
            assert_eq!(Entry::discard(discard).action(), Action::Discard(discard));
        }
    }
}
