//! What a local SID does: RFC 8986, section 4, and what a headend does: section 5.
//!
//! A behavior is a function of the packet, its headers and the SID that says what is to be done
//! next; it does no I/O. To add one: a variant of [`Behavior`], a row of [`TABLE`], the function
//! in the file of its family, and a folder of golden cases.

use crate::{
    fib::{Fib, Sid},
    packet::Packet,
    pipeline::Run,
    verdict::Verdict,
    wire::ext::{ByHeaders, Headers},
};

pub mod decap;
pub mod end;
pub mod flow;
pub mod headend;

/// The behaviors of local SIDs, as RFC 8986 names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Behavior {
    /// Section 4.1.
    End,
    /// Section 4.2.
    EndX,
    /// Section 4.3.
    EndT,
    /// Section 4.4.
    EndDx6,
    /// Section 4.5.
    EndDx4,
    /// Section 4.6.
    EndDt6,
    /// Section 4.7.
    EndDt4,
    /// Section 4.8.
    EndDt46,
}

/// What a behavior does to packets for one SID.
pub type Act = fn(&mut Run<'_>, &Sid, &Fib);

/// All there is to know of a behavior.
#[derive(Debug)]
pub struct Row {
    /// Which one.
    pub behavior: Behavior,
    /// Its name in RFC 8986, and in iproute2's `encap seg6local action`.
    pub name: &'static str,
    /// Code points of "SRv6 Endpoint Behaviors" at IANA: without flavor, and with PSP, USP, PSP
    /// and USP in this order from `code_point + 1`; with USD likewise from `code_point_usd`.
    pub code_point: u16,
    /// Code point with USD, for behaviors that take flavors.
    pub code_point_usd: Option<u16>,
    /// What it does.
    pub act: Act,
}

/// Makes an [`Act`] of a function of one packet, its headers, its SID and the FIB, which is compiled
/// into the loop over the packets.
macro_rules! each {
    ($act:path) => {{
        #[derive(Clone, Copy)]
        struct One<'a>(&'a Sid, &'a Fib);
        impl ByHeaders for One<'_> {
            #[inline(always)]
            fn act(self, packet: &mut Packet<'_>, headers: Headers) -> Verdict {
                $act(packet, headers, self.0, self.1)
            }
        }
        |run, sid, fib| run.each_by_headers(One(sid, fib))
    }};
}

/// The behaviors, in the order of [`Behavior`].
pub static TABLE: [Row; 8] = [
    row(Behavior::End, "End", 1, Some(28), each!(end::end)),
    row(Behavior::EndX, "End.X", 5, Some(32), each!(end::end_x)),
    row(Behavior::EndT, "End.T", 9, Some(36), each!(end::end_t)),
    row(Behavior::EndDx6, "End.DX6", 16, None, each!(decap::end_dx6)),
    row(Behavior::EndDx4, "End.DX4", 17, None, each!(decap::end_dx4)),
    row(Behavior::EndDt6, "End.DT6", 18, None, each!(decap::end_dt6)),
    row(Behavior::EndDt4, "End.DT4", 19, None, each!(decap::end_dt4)),
    row(Behavior::EndDt46, "End.DT46", 20, None, each!(decap::end_dt46)),
];

const fn row(
    behavior: Behavior,
    name: &'static str,
    code_point: u16,
    code_point_usd: Option<u16>,
    act: Act,
) -> Row {
    Row { behavior, name, code_point, code_point_usd, act }
}

impl Behavior {
    /// Its row of the table.
    #[inline(always)]
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Its name in RFC 8986.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The code point of the behavior with these flavors at IANA.
    pub fn code_point(self, flavors: Flavors) -> u16 {
        let row = self.row();
        let combination =
            u16::from(flavors.has(Flavors::PSP)) + 2 * u16::from(flavors.has(Flavors::USP));
        match row.code_point_usd {
            Some(usd) if flavors.has(Flavors::USD) => usd + combination,
            Some(_) => row.code_point + combination,
            None => row.code_point,
        }
    }
}

/// A set of the flavors of RFC 8986, section 4.16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flavors(u8);

impl Flavors {
    /// None.
    pub const NONE: Self = Self(0);
    /// Penultimate Segment Pop of the SRH.
    pub const PSP: Self = Self(1);
    /// Ultimate Segment Pop of the SRH.
    pub const USP: Self = Self(2);
    /// Ultimate Segment Decapsulation.
    pub const USD: Self = Self(4);

    /// The set with these, too.
    #[must_use]
    pub const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Whether all of `flavors` are in the set.
    #[inline(always)]
    pub const fn has(self, flavors: Self) -> bool {
        self.0 & flavors.0 == flavors.0
    }

    /// Their names, in the order of the RFC.
    pub fn names(self) -> Vec<&'static str> {
        [(Self::PSP, "PSP"), (Self::USP, "USP"), (Self::USD, "USD")]
            .into_iter()
            .filter_map(|(flavor, name)| self.has(flavor).then_some(name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.behavior as usize, index);
            assert_eq!(row.behavior.row().name, row.name);
        }
    }

    /// C-064, C-074: code points as registered at IANA.
    #[test]
    fn code_points() {
        let all = Flavors::PSP.with(Flavors::USP).with(Flavors::USD);
        for (behavior, flavors, code_point) in [
            (Behavior::End, Flavors::NONE, 1),
            (Behavior::End, Flavors::PSP, 2),
            (Behavior::End, Flavors::USP, 3),
            (Behavior::End, Flavors::PSP.with(Flavors::USP), 4),
            (Behavior::End, Flavors::USD, 28),
            (Behavior::End, Flavors::PSP.with(Flavors::USD), 29),
            (Behavior::End, Flavors::USP.with(Flavors::USD), 30),
            (Behavior::End, all, 31),
            (Behavior::EndX, Flavors::NONE, 5),
            (Behavior::EndX, all, 35),
            (Behavior::EndT, Flavors::NONE, 9),
            (Behavior::EndT, Flavors::USD, 36),
            (Behavior::EndDx6, Flavors::NONE, 16),
            (Behavior::EndDx4, Flavors::NONE, 17),
            (Behavior::EndDt6, Flavors::NONE, 18),
            (Behavior::EndDt4, Flavors::NONE, 19),
            (Behavior::EndDt46, Flavors::NONE, 20),
        ] {
            assert_eq!(behavior.code_point(flavors), code_point, "{behavior:?} {flavors:?}");
        }
    }
}
